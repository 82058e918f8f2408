import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type Ended, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const succeeded = (ended: Ended): Ended => {
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};

const ashlar = async (...words: readonly string[]): Promise<string> => succeeded(await world.ashlar(words)).stdout;

/** What du(1) says of the state directory. Bytes. */
const diskUsage = (...options: readonly string[]): number =>
  Number(execFileSync("du", ["-s", "-B1", ...options, world.root], { encoding: "utf8" }).split("\t")[0]);

interface Row {
  readonly ID: string;
  readonly Type: string;
  readonly Size: string;
  readonly Description: string;
  readonly Reclaimable: boolean;
  readonly Shared: boolean;
}

const rows = async (...words: readonly string[]): Promise<Row[]> =>
  (await ashlar("du", "--format=json", ...words))
    .split("\n")
    .flatMap((line) => (line ? [JSON.parse(line) as Row] : []));

const sum = (some: readonly Row[]): number => some.reduce((total, { Size }) => total + Number(Size), 0);

const build = async (lines: readonly string[], ...words: readonly string[]): Promise<Ended> => {
  const directory = world.files({ Dockerfile: ["FROM base", ...lines].join("\n"), file: "content\n" });
  return succeeded(await world.build([...words, directory]));
};

const RANDOM_MEGABYTES = (name: string, count: number) =>
  `RUN dd if=/dev/urandom of=/${name} bs=1M count=${count} 2>/dev/null`;

test("du counts what du -s counts, with sparse and linked files, images, mounts and logs, and prune what du says", async () => {
  await build(
    [
      "COPY file /file",
      "RUN --mount=type=cache,id=kept,target=/c truncate -s 1G /sparse; echo x > /a; ln /a /b; mkdir /d; seq 300 | while read i; do echo $i > /d/$i; done; dd if=/dev/zero of=/c/x bs=1M count=3; echo said",
    ],
    "-t",
    "one",
  );
  await build([RANDOM_MEGABYTES("x", 2)], "-o", `type=oci,dest=${world.path("out.tar")}`);
  const listed = await rows();
  expect(Math.abs(sum(listed) - diskUsage()) / diskUsage()).toBeLessThan(0.02);
  await ashlar("tag", "one", "two");
  expect((await rows("--filter", "type=image")).map(({ Description }) => Description)).toContain(
    "one:latest, two:latest",
  );
  const types = listed.map(({ Type }) => Type);
  expect(types).toEqual(expect.arrayContaining(["regular", "image", "exec.cachemount", "source.local", "internal"]));
  const free = sum(listed.filter(({ Reclaimable, Shared }) => Reclaimable && !Shared));
  // The database gives back what it can, which nobody foresees.
  const before = diskUsage("--exclude=ashlar.db*");
  await ashlar("prune", "--all", "--force");
  expect(Math.abs(before - diskUsage("--exclude=ashlar.db*") - free) / before).toBeLessThan(0.02);
  expect(await ashlar("prune", "--check")).toBe("Everything is in order.\n");
  expect(succeeded(await world.ashlar(["run", "one", "cat", "/file"])).stdout).toBe("content\n");
});

test("prune removes what its conditions hold of, the longest unused first, and says before what it will be", async () => {
  for (const name of ["a", "b", "c"]) await build([RANDOM_MEGABYTES(name, 2)], "-o", "type=cacheonly");
  await build(["RUN --mount=type=cache,id=m,target=/m touch /m/x"], "-o", "type=cacheonly");
  const bound = String(diskUsage() - 3_000_000);
  const told = await ashlar("prune", "--dry-run", "--max-used-space", bound);
  expect(told).toContain("Would remove 2 records\n");
  expect(diskUsage()).toBeGreaterThan(Number(bound));
  expect(await ashlar("prune", "--force", "--max-used-space", bound)).toContain("Removed 2 records\n");
  expect(diskUsage()).toBeLessThan(Number(bound) + 200_000);
  const kept = (await rows("--filter", "description~=RUN dd")).map(
    ({ Description }) => /of=\/(\w)/.exec(Description)?.[1],
  );
  expect(kept).toEqual(["c"]);
  expect(await ashlar("prune", "--force", "--filter", "until=1h")).toContain("Removed 0 records\n");
  await ashlar("prune", "--force", "--filter", "type=exec.cachemount");
  expect(await rows("--filter", "type=exec.cachemount")).toEqual([]);
  expect(await rows("--filter", "description~=RUN dd")).toHaveLength(1);
  await ashlar("prune", "--force", "--filter", "description~=RUN dd");
  // Of a store that is hardly more than its database, too.
  const foreseen = reclaimed(await ashlar("prune", "--all", "--dry-run"));
  const freed = reclaimed(await ashlar("prune", "--all", "--force"));
  expect(freed).toBeGreaterThan(0);
  expect(Math.abs(foreseen - freed) / freed).toBeLessThan(0.1);
});

/** What prune says that it has freed, or would. Kilobytes. */
function reclaimed(told: string): number {
  const [, number = "", unit = ""] = /reclaim(?:ed space)?:\s+([\d.]+)(k|M)?B/.exec(told) ?? [];
  return Number(number) * (unit === "M" ? 1000 : unit === "k" ? 1 : 0.001);
}

test("a bound holds while builds go on, for all that no image needs", async () => {
  const bounded = (name: string, ...words: readonly string[]) =>
    build([RANDOM_MEGABYTES(`${name}1`, 2), RANDOM_MEGABYTES(`${name}2`, 2)], "--cache-max-size=14mb", ...words);
  await bounded("kept", "-t", "kept");
  for (const name of ["a", "b", "c"]) {
    await bounded(name, "-o", "type=cacheonly");
    expect(diskUsage()).toBeLessThan(14 * 2 ** 20);
  }
  expect((await bounded("c", "-o", "type=cacheonly")).stderr).toMatch(/(RUN dd.*\n#\d+ CACHED\n[\s\S]*){2}/);
  const lower = diskUsage() - 3_000_000;
  await build([RANDOM_MEGABYTES("c1", 2)], `--cache-max-size=${lower}`, "-o", "type=cacheonly");
  expect(diskUsage()).toBeLessThan(lower);
  expect(succeeded(await world.ashlar(["run", "kept", "ls", "/kept2"])).stdout).toBe("/kept2\n");
  const tight = await build([RANDOM_MEGABYTES("d", 1)], "--cache-max-size=1mb", "-t", "other");
  expect(tight.stderr).toMatch(
    /more than the 1\.05MB it may have: .* running builds need, .* belong to images with names/,
  );
  expect(tight.stderr.match(/^ - .*more than the/gm)).toHaveLength(1);
  expect(await ashlar("prune", "--check")).toBe("Everything is in order.\n");
});

test("a build that is larger than the bound gives up what it has done with, and keeps what it needs", async () => {
  const stages = [1, 2, 3, 4, 5, 6].flatMap((n) => [
    `FROM base AS s${n}`,
    ...(n > 1 ? [`COPY --from=s${n - 1} /small${n - 1} /`] : []),
    `RUN echo ${n} > /small${n}; dd if=/dev/urandom of=/large${n} bs=1M count=4 2>/dev/null`,
  ]);
  const lines = [...stages, "FROM s2", "COPY --from=s6 /small6 /"];
  const done = await build(lines, "--cache-max-size=20mb", "-t", "one");
  expect(done.stderr).not.toContain("more than the");
  expect(succeeded(await world.ashlar(["run", "one", "ls"])).stdout).toMatch(/^large2$[\s\S]*^small1$[\s\S]*^small6$/m);
  expect(diskUsage()).toBeLessThan(20 * 2 ** 20);
  expect(await ashlar("prune", "--check")).toBe("Everything is in order.\n");
  const wide = await build(
    lines,
    "--cache-max-size=20mb",
    "--no-cache",
    "-o",
    "type=cacheonly",
    "--cache-to=type=inline",
  );
  // While it builds, and among the warnings at the end.
  expect(wide.stderr).toMatch(
    /^#\d+ the state directory .* more than the 20\.97MB it may have[\s\S]*RUN echo[\s\S]*^ - .*more than the/m,
  );
});

test("du counts what running steps have written, in their layers and in cache mounts", async () => {
  const directory = world.files({
    Dockerfile: [
      "FROM base",
      "RUN --mount=type=cache,target=/c dd if=/dev/urandom of=/x bs=1M count=12 2>/dev/null; dd if=/dev/urandom of=/c/y bs=1M count=6 2>/dev/null; echo written; sleep 30",
    ].join("\n"),
  });
  const running = world.start(world.buildWords(["-o", "type=cacheonly", directory]));
  await running.says(" written\n");
  const before = diskUsage();
  expect(before).toBeGreaterThan(18 * 2 ** 20);
  expect(Math.abs(sum(await rows()) - before) / before).toBeLessThan(0.02);
  expect((await rows("--filter", "description~=in the making")).map(({ Reclaimable }) => Reclaimable)).toEqual([false]);
  // Another build sees it, too.
  const other = world.files({ Dockerfile: "FROM base\nRUN true\n" }, "other");
  const told = await world.build(["--cache-max-size=12mb", "-o", "type=cacheonly", other]);
  expect(told.stderr).toMatch(/ - the state directory .* has (19|2\d)\.\d+MB, more than the 12\.58MB/);
  running.child.kill("SIGINT");
  await running.ended;
});

test("a policy that keeps what is young holds its bound for the rest while steps run, without a word", async () => {
  const config = world.path("ashlar.toml");
  fs.writeFileSync(config, '[[gc.policy]]\nkeepDuration = "1s"\nmaxUsedSpace = "8MB"\n');
  for (const name of ["a", "b"]) await build([RANDOM_MEGABYTES(name, 6)], "-o", "type=cacheonly");
  const directory = world.files({
    Dockerfile: ["FROM base", "RUN sleep 1.1", RANDOM_MEGABYTES("c", 6), "RUN echo done; sleep 30"].join("\n"),
  });
  const running = world.start(world.buildWords(["-o", "type=cacheonly", directory]), {
    env: { ASHLAR_CONFIG: config },
  });
  await running.says(" done\n");
  expect(
    (await rows("--filter", "description~=RUN dd")).map(({ Description }) => /of=\/(\w)/.exec(Description)?.[1]),
  ).toEqual(["c"]);
  expect(running.said()).not.toContain("more than");
  running.child.kill("SIGINT");
  await running.ended;
});

test("what filters leave out is told as that where a bound can't be kept", async () => {
  const config = world.path("ashlar.toml");
  fs.writeFileSync(
    config,
    '[[gc.policy]]\nfilters = ["type==exec.cachemount", "type==regular"]\nmaxUsedSpace = "4MB"\n',
  );
  for (const name of ["a", "b"]) await build([RANDOM_MEGABYTES(name, 3)], "-t", "one");
  const directory = world.files({ Dockerfile: "FROM base\nRUN true\n" });
  const told = succeeded(await world.build(["-o", "type=cacheonly", directory], { env: { ASHLAR_CONFIG: config } }));
  expect(told.stderr).toMatch(
    /\d\.\d+MB belong to images with names, [34]\.\d+MB belong to images without a name, which the policy's filters leave out/,
  );
});

test("what a running build of another process has is not removed under it", async () => {
  const directory = world.files({
    Dockerfile: ["FROM base", RANDOM_MEGABYTES("x", 1), "RUN echo waiting; sleep 2; ls /x"].join("\n"),
  });
  const running = world.start(world.buildWords(["-o", "type=cacheonly", directory]));
  await running.says("waiting\n");
  await ashlar("prune", "--all", "--force");
  expect(succeeded(await running.ended).stderr).toMatch(/ \/x$/m);
  const again = succeeded(await world.build(["-o", "type=cacheonly", directory]));
  expect(again.stderr).toMatch(/(RUN .*\n#\d+ CACHED\n[\s\S]*){2}/);
});

test("prune --check finds what is lost and what is left over", async () => {
  await build([RANDOM_MEGABYTES("x", 1)], "-t", "one");
  const blobs = path.join(world.root, "blobs/sha256");
  const layers = path.join(world.root, "layers");
  const newest = Math.max(...fs.readdirSync(layers).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : [])));
  fs.rmSync(path.join(layers, String(newest)), { recursive: true });
  fs.writeFileSync(path.join(blobs, "0".repeat(64)), "nobody's");
  fs.mkdirSync(path.join(layers, "99999"));
  const id = (await ashlar("image", "inspect", "one", "--format", "{{.Id}}")).trim();
  fs.rmSync(path.join(blobs, id.replace("sha256:", "")));
  const { code, stdout } = await world.ashlar(["prune", "--check"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(new RegExp(`^lost layer: layer ${newest} \\(.* RUN .*\\) has no files$`, "m"));
  expect(stdout).toContain(`unreferenced blob: sha256:${"0".repeat(64)}\n`);
  expect(stdout).toContain("unreferenced layer: the directory 99999\n");
  expect(stdout).toContain("damaged image: one:latest: ");
});

test("cache mounts are known by id: listed, exported, brought elsewhere, removed, and left alone by --no-cache", async () => {
  const lines = [
    "RUN --mount=type=cache,target=/plain --mount=type=cache,id=owned,target=/o,uid=7,mode=0700 cat /plain/* || true; echo a >> /plain/f; stat -c '%u %a' /o; touch /o/x; chown 5:6 /o/x; truncate -s 30M /o/holes",
  ];
  await build(lines, "-o", "type=cacheonly");
  expect((await build(lines, "-o", "type=cacheonly", "--no-cache")).stderr).toMatch(/ a$/m);
  expect(await ashlar("cache", "mounts", "ls", "-q")).toBe("/plain\nowned\n");
  for (const id of ["/plain", "owned"]) {
    const archive = world.path(`${path.basename(id)}.tar`);
    await ashlar("cache", "mounts", "export", id, "-o", archive);
    await ashlar("--root", world.path("second"), "cache", "mounts", "import", id, "-i", archive);
  }
  const second = Number(execFileSync("du", ["-s", "-B1", world.path("second")], { encoding: "utf8" }).split("\t")[0]);
  expect(second).toBeLessThan(4 * 2 ** 20);
  const owners = execFileSync("tar", ["--numeric-owner", "-tvf", world.path("owned.tar")], { encoding: "utf8" });
  expect(owners).toMatch(/ 5\/6 .* x\n/);
  const again = await build(lines, "--root", world.path("second"), "-o", "type=cacheonly");
  expect(again.stderr).toMatch(/ a\n.* a$/m);
  expect(again.stderr).toMatch(/ 7 700$/m);
  const holding = world.start(
    world.buildWords([
      "-o",
      "type=cacheonly",
      world.files({ Dockerfile: "FROM base\nRUN --mount=type=cache,target=/plain echo here; sleep 2\n" }, "holding"),
    ]),
  );
  await holding.says(" here\n");
  expect(await world.ashlar(["cache", "mounts", "rm", "/plain"])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("in use by a running step"),
  });
  await ashlar("cache", "mounts", "rm", "owned");
  succeeded(await holding.ended);
  expect(await ashlar("cache", "mounts", "ls", "-q")).toBe("/plain\n");
  expect(await world.ashlar(["cache", "mounts", "export", "owned"])).toMatchObject({ code: 1 });
});
