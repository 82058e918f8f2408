import fs from "node:fs";
import { expect, type TestContext, test } from "vitest";
import { crashRounds } from "./crash-rounds.js";
import { needs, run, World } from "./world.js";

/** A few points that chance has chosen; the deep tests have hundreds of others. */
const ROUNDS = { count: 6, seed: 5 } as const;

test("what is killed at any moment, or loses its disk, leaves nothing that lies, and nothing behind", async () => {
  await crashRounds(ROUNDS);
}, 180_000);

/** Calls WORK with the state directory on a disk of its own, of SIZE. */
async function onDisk(world: World, size: string, context: TestContext, work: () => Promise<void>): Promise<void> {
  needs(context, "mount", "umount");
  fs.mkdirSync(world.root);
  const mounted = await run(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", world.root]);
  if (mounted.code !== 0) context.skip(`no tmpfs can be mounted here: ${mounted.stderr.trim()}`);
  try {
    await work();
  } finally {
    await run(["umount", world.root]);
  }
}

/** Takes all the room that is left. */
function fill(file: string): void {
  const fd = fs.openSync(file, "w");
  try {
    for (const size of [2 ** 20, 2 ** 12]) for (;;) if (!wrote(fd, size)) break;
  } finally {
    fs.closeSync(fd);
  }
}

function wrote(fd: number, size: number): boolean {
  try {
    return fs.writeSync(fd, Buffer.alloc(size, "x")) === size;
  } catch {
    return false;
  }
}

test("where not a byte is left, a build ends in words, and a prune makes room", async (context) => {
  await using world = new World();
  await onDisk(world, "100m", context, async () => {
    const files = { Dockerfile: "FROM base\nCOPY big /big\nRUN echo x > /y\n", big: Buffer.alloc(4_000_000) };
    const directory = world.files(files);
    expect(await world.build([directory])).toMatchObject({ code: 0 });
    fill(world.path("root", "filler"));
    fs.appendFileSync(world.path("context", "big"), "more");
    const full = await world.build([directory]);
    expect(full).toMatchObject({ code: 1, stderr: expect.stringMatching(/^ERROR: .*no space left/m) });
    expect(await world.ashlar(["images"])).toMatchObject({ code: 0 });
    expect(await world.ashlar(["prune", "--all", "--force"])).toMatchObject({ code: 0 });
    expect(await world.build([directory])).toMatchObject({ code: 0 });
    expect(await world.ashlar(["prune", "--force"])).toMatchObject({ code: 0 });
    expect(await world.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });
  });
});

test("a state directory that has become read-only is told so", async (context) => {
  await using world = new World();
  await onDisk(world, "100m", context, async () => {
    const directory = world.files({ Dockerfile: "FROM base\nRUN echo x > /y\n" });
    expect(await world.build([directory])).toMatchObject({ code: 0 });
    await run(["mount", "-o", "remount,ro", world.root]);
    const ended = await world.build([directory]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(world.root);
    expect(ended.stderr).toMatch(/^ERROR: .*read-only/im);
  });
});
