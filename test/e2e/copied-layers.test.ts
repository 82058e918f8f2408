import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, type TestContext, test } from "vitest";
import { ASHLAR, BASE_LAYOUT, type Ended, needs, REPOSITORY, type RunOptions, run, World } from "./world.js";

/** Builds of every kind that makes, hides, replaces, copies or exports files. */
const CASES = [
  "exec-mount-cache-across-stages",
  "exec-mount-target-nested-missing",
  "exec-run-file-replaced-directory",
  "exec-run-file-special-kinds",
  "exec-stage-diamond",
  "fs-add-tar-over-existing",
  "fs-copy-link-file-over-dir",
  "fs-layers-copy-over-whiteout",
  "fs-output-local-layers-flattened",
  "fs-output-tar-files",
  "fs-run-chmod-root-dir",
  "fs-run-delete-and-recreate-dir",
  "fs-run-delete-base-file",
  "fs-run-hardlink-lower-deleted",
  "fs-run-rename-dir",
];

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

test("a dozen builds with the state directory on an overlay file system give what the reference gives", async (context) => {
  await needsOverlay(context);
  const cases = CASES.map((name) => path.join(REPOSITORY, "test/conformance/cases", `${name}.txtar`));
  const runner = path.join(REPOSITORY, "test/conformance/run.mjs");
  const words = [process.execPath, runner, "--engine", `${ASHLAR} build`, "--base", BASE_LAYOUT, "--json", ...cases];
  const ended = await onOverlay(words, { timeoutMs: SUITE_TIMEOUT_MS });
  expect(ended.stderr).toBe("");
  expect(JSON.parse(ended.stdout)).toMatchObject({ failures: [], passed: CASES.length });
}, 120_000);

test("copied layers are found again, say so once, and can be pruned", async (context) => {
  await needsOverlay(context);
  const program =
    "FROM base\nRUN rm /etc/group && rm -r /home && mkdir /home\nRUN test ! -e /etc/group && ls -A /home > /seen\n";
  const directory = world.files({ Dockerfile: program });
  const words = world.buildWords([directory]);
  const script = `
    "$@"
    "$@"
    ${ASHLAR} prune --all --force > /dev/null
    ls "$ASHLAR_ROOT/layers"
    "$@" -t app
    ${ASHLAR} run app sh -c 'cat /seen; test ! -e /etc/group && echo gone'
    ${ASHLAR} info | grep Snapshotter`;
  const ended = await onOverlay(["sh", "-euc", script, "sh", ASHLAR, ...words]);
  expect(ended).toMatchObject({ code: 0, stdout: "empty\nmarked-whiteout\ngone\nSnapshotter: native\n" });
  // The base and both steps, the second time.
  expect(ended.stderr.match(/^#\d+ CACHED$/gm)).toHaveLength(3);
  expect(ended.stderr.match(/layers can't be stacked/g)).toHaveLength(3);
});

const SUITE_TIMEOUT_MS = 110_000;

/** Runs a program whose state directory is on an overlay file system that only the program sees. */
function onOverlay(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map((name) => world.path(name));
  for (const directory of [lower, upper, work, merged]) fs.mkdirSync(String(directory), { recursive: true });
  const mounting = `mount -t overlay overlay -o lowerdir=${lower},upperdir=${upper},workdir=${work} ${merged} && exec "$@"`;
  const env = { ...options.env, ASHLAR_ROOT: `${merged}/root` };
  return run(["unshare", "--mount", "sh", "-euc", mounting, "sh", ...words], { ...options, env });
}

async function needsOverlay(context: TestContext): Promise<void> {
  needs(context, "unshare", "mount");
  const { code, stderr } = await onOverlay(["true"]);
  if (code !== 0) context.skip(`an overlay file system can't be mounted here: ${stderr.trim()}`);
}
