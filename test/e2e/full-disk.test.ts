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
