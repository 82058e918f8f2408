import fs from "node:fs";
import { expect, test } from "vitest";
import { ASHLAR, BASE_LAYOUT, needs, run, World } from "./world.js";

test("on a small disk without a byte left, whatever makes room does", async (context) => {
  needs(context, "unshare", "mount");
  if (process.getuid?.() !== 0) context.skip("only root mounts a disk of its own");
  await using world = new World();
  const disk = world.path("disk");
  fs.mkdirSync(disk);
  const dockerfile =
    "FROM base\nRUN head -c 500000 /dev/urandom > /big\nRUN --mount=type=cache,target=/c head -c 500000 /dev/urandom > /c/big\n";
  const script = `
    mount -t tmpfs -o size=24m none "$DISK" && mkdir "$DISK/context" && printf %s "$DOCKERFILE" > "$DISK/context/Dockerfile"
    ashlar() { "$ASHLAR" "$@" --root "$DISK/root" || { echo "$1: $?"; exit 1; }; }
    ashlar build -q -t app --build-context "base=oci-layout://$BASE:latest" "$DISK/context"
    cat /dev/zero > "$DISK/fill" 2>/dev/null
    ashlar rmi app && cat /dev/zero > "$DISK/fill2" 2>/dev/null
    ashlar cache mounts rm --all
    ashlar prune -af
    ashlar prune --check`;
  const env = { DISK: disk, DOCKERFILE: dockerfile, ASHLAR, BASE: BASE_LAYOUT };
  const ended = await run(["unshare", "--mount", "sh", "-uc", script], { env });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(ended.stdout).toMatch(/Untagged: app:latest\n.*\n\/c\n.*Removed \d+ records\n.*Everything is in order/s);
});

test("of a cache that is exported to a full disk it is said whose disk that is", async (context) => {
  needs(context, "unshare", "mount");
  if (process.getuid?.() !== 0) context.skip("only root mounts a disk of its own");
  await using world = new World();
  const [disk, directory] = [
    world.path("disk"),
    world.files({ Dockerfile: "FROM base\nRUN head -c 2000000 /dev/urandom > /big\n" }),
  ];
  fs.mkdirSync(disk);
  const words = world.buildWords(["-o", "type=cacheonly", "--cache-to", `type=local,dest=${disk}`, directory]);
  const env = { DISK: disk, ASHLAR_ROOT: world.root };
  const script = 'mount -t tmpfs -o size=1m none "$DISK" && exec "$@"';
  const ended = await run(["unshare", "--mount", "sh", "-uc", script, "sh", ASHLAR, ...words], { env });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain(`make room on the disk that ${disk} is on`);
  expect(ended.stderr).not.toContain("ashlar prune");
});
