import fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { crashRounds } from "./crash-rounds.js";
import { needsUser } from "./user.js";
import { cgroupsNamed, eventually, owners, tracesOf, World } from "./world.js";

/** How often the build is killed, each time a little later. */
const KILLS = 60;
const STEP_MS = 25;

test("a build killed at any moment leaves nothing that lies: the next one makes the same image", async () => {
  await using world = new World();
  await using calm = new World();
  const dockerfile = [
    "FROM base AS one",
    "RUN for i in 1 2 3; do head -c 100000 /dev/zero | tr '\\0' $i > /file-$i; sleep 0.1; done",
    "FROM base",
    "COPY tree /tree",
    "RUN rm -r /tree/a && echo x > /tree/b",
    "COPY --from=one /file-* /",
    "",
  ].join("\n");
  const files = { Dockerfile: dockerfile, "tree/a/1": "1", "tree/a/2": "2", "tree/c": "c" };
  const wanted = await filesOf(calm, calm.files(files));
  const context = world.files(files);
  for (let kill = 0; kill < KILLS; kill++) {
    const running = world.start(world.buildWords(["-t", "made", context]));
    await pause(kill * STEP_MS);
    const [owner] = fs.existsSync(world.path("root", "owners")) ? owners(world.root) : [];
    running.child.kill("SIGKILL");
    await running.ended;
    await eventually(() => tracesOf(context, world.root, undefined).join("\n") || true, 1000);
    if (kill % 3 === 0) expect(await world.ashlar(["prune", "--force"])).toMatchObject({ code: 0 });
    else expect(await world.ashlar(["images"])).toMatchObject({ code: 0 });
    if (owner !== undefined) expect(cgroupsNamed(owner)).toEqual([]);
    expect(owners(world.root)).toEqual([]);
  }
  expect(await filesOf(world, context)).toEqual(wanted);
});

/** As many as the nightly run has time for; the seed is told when it fails. */
const ROUNDS = { count: 500, seed: Date.now() % 1_000_000 };
const ROUNDS_MS = 4 * 60 * 60_000;

test(
  "whatever is done, killed at any call and on failing disks: the next build is right, and a prune leaves nothing behind",
  async () => {
    await crashRounds(ROUNDS);
  },
  ROUNDS_MS,
);

/** Of each, as they take longer. */
const USER_ROUNDS = { count: 30, seed: ROUNDS.seed };

for (const grant of ["subordinate ids", "no subordinate ids"] as const)
  test(
    `so it is for an ordinary user with ${grant}`,
    async (context) => {
      needsUser(context, grant);
      await crashRounds({ ...USER_ROUNDS, grant });
    },
    ROUNDS_MS,
  );

/** Every file of the image with its content. */
async function filesOf(world: World, context: string): Promise<ReadonlyMap<string, string>> {
  const out = world.path("out");
  expect(await world.build(["-o", out, context])).toMatchObject({ code: 0 });
  const entries = fs.readdirSync(out, { recursive: true, withFileTypes: true });
  const kept = entries.filter((entry) => entry.isFile() && !entry.parentPath.endsWith("/bin"));
  return new Map(
    kept.map(({ parentPath, name }) => {
      const file = `${parentPath}/${name}`;
      return [file.slice(out.length), fs.readFileSync(file, "latin1")] as const;
    }),
  );
}
