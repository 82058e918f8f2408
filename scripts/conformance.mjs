// Runs the conformance cases against bin/ashlar and holds the result against test/conformance/known-failures.txt, the cases
// that don't pass yet: one that fails must be listed, one that passes must not. The list only ever shrinks.
//
//   node scripts/conformance.mjs [SUBSTRING] [--ways | --whole]
//
// --ways: in all the ways steps can run and layers be stacked, as CI does; --whole: so, and every case of files and of steps in each of them.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, "test/conformance");
const LIST = "test/conformance/known-failures.txt";
/** So much memory has to be free for a way to have its files there: many times what it needs. */
const MEMORY_BYTES = 4 * 2 ** 30;
/** Differences shown of a case. */
const SHOWN_DIFFERENCES = 8;

/**
 * Other ways to the same images. Together with the usual one (runc, control groups as they are, overlay, umask 022, the state directory on disk)
 * they have each runtime on each version of control groups, each snapshotter, each umask and a state directory in memory. All cases in all ways
 * take longer than CI may, so each way runs those that it can change: a runtime what steps see, a umask what makes files, a snapshotter what
 * stacks them; --whole runs every `fs-` and `exec-` case in each.
 */
export const WAYS = [
  {
    name: "crun, cgroup version 2, umask 077",
    env: { ASHLAR_RUNTIME: "crun" },
    umask: "077",
    under: "with-cgroup2.sh",
    cases: ["exec-context-", "exec-mount-", "exec-output-", "exec-run-", "fs-run-"],
  },
  {
    name: "native snapshotter, runc, cgroup version 2, umask 000",
    env: { ASHLAR_SNAPSHOTTER: "native", ASHLAR_RUNTIME: "runc" },
    umask: "000",
    under: "with-cgroup2.sh",
    cases: [
      "exec-mount-",
      "exec-stage-",
      ...["add-", "copy-", "layers-", "output-", "run-", "user-", "volume-", "workdir-"].map((of) => `fs-${of}`),
    ],
    // Overlay copies a name up and leaves the other as it was; in a copy both stay one file.
    leaves: ["fs-run-hardlink-lower-modified"],
  },
  { name: "crun", env: { ASHLAR_RUNTIME: "crun" }, umask: "022", cases: ["exec-run-"] },
  {
    name: "built-in sandbox",
    env: { ASHLAR_ISOLATION: "sandbox" },
    umask: "022",
    cases: ["exec-run-", "exec-mount-", "fs-run-"],
  },
];
const WHOLE = ["exec-", "fs-"];
const USUAL_WAY = { name: "", env: {}, umask: "022", cases: [""] };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.umask(0o022);
  const words = process.argv.slice(2);
  const only = words.find((word) => !word.startsWith("--"));
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const whole = words.includes("--whole");
  const ways = whole ? WAYS.map((way) => ({ ...way, cases: WHOLE })) : words.includes("--ways") ? WAYS : [];
  for (const way of [USUAL_WAY, ...ways]) {
    if (way.name) console.log(`${way.name}:`);
    const counts = await runConformance(only, way);
    for (const key of Object.keys(sum)) sum[key] += counts[key];
  }
  const { passed, failed, skipped } = sum;
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed > 0 ? 1 : 0;
}

/** How many cases passed and failed; a listed case that fails counts as skipped. ONLY: cases whose name holds it. */
export async function runConformance(only = "", way = USUAL_WAY) {
  const known = readList();
  const state = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-conformance-"));
  try {
    const run = { state, way };
    const wanted = caseNames().filter(
      (name) => name.includes(only) && way.cases.some((family) => name.startsWith(family)),
    );
    const left = wanted.filter((name) => way.leaves?.includes(name));
    for (const name of left) console.log(`skipped: ${name}: can't agree with the reference in this way`);
    const names = wanted.filter((name) => !left.includes(name));
    const failures = names.length === 0 ? [] : (await runCases(names, run)).failures;
    const counts = compare(failures, names, known);
    return { ...counts, skipped: counts.skipped + left.length };
  } catch (error) {
    console.log(`conformance: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    fs.rmSync(state, { recursive: true, force: true });
  }
}

function readList() {
  const lines = fs.readFileSync(path.join(root, LIST), "utf8").split("\n");
  return new Set(lines.map((line) => line.replace(/#.*/, "").trim()).filter(Boolean));
}

async function runCases(names, { state, way }) {
  // One more than there are cores: a build waits now and then for a step to begin or the disk.
  const jobs = String(os.availableParallelism() + 1);
  const engine = `${folder}/with-umask.sh ${way.umask} ${root}/bin/ashlar build`;
  const files = names.map((name) => path.join(folder, "cases", `${name}.txtar`));
  const words = ["--engine", engine, "--json", "--jobs", jobs, ...files];
  const memory = way !== USUAL_WAY && process.availableMemory() > MEMORY_BYTES;
  const under = [
    ...(memory ? [path.join(folder, "with-memory.sh"), state] : []),
    ...(way.under ? [path.join(folder, way.under)] : []),
  ];
  const [program, ...args] = [...under, process.execPath, path.join(folder, "run.mjs"), ...words];
  const child = spawn(program, args, {
    // Without the machine's further authorities, which each process would read first: as long as it takes to build what is cached.
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...way.env, ASHLAR_ROOT: path.join(state, "root") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  if (!text.startsWith("{")) throw new Error(`the runner ended with ${code}: ${text}`);
  return JSON.parse(text);
}

function compare(failures, names, known) {
  const failing = new Map(failures.map(({ name, found }) => [name, found]));
  const unknown = [...failing.keys()].filter((name) => !known.has(name)).sort();
  for (const name of unknown) {
    const found = failing.get(name);
    const more = found.length > SHOWN_DIFFERENCES ? [`… ${found.length - SHOWN_DIFFERENCES} more`] : [];
    console.log(`FAIL ${name}`);
    for (const line of [...found.slice(0, SHOWN_DIFFERENCES), ...more]) console.log(`     ${line}`);
  }
  const recovered = names.filter((name) => known.has(name) && !failing.has(name));
  for (const name of recovered) console.log(`FAIL ${name}: it passes: remove it from ${LIST}`);
  const gone = [...known].filter((name) => !caseNames().includes(name));
  for (const name of gone) console.log(`FAIL ${name}: there is no such case: remove it from ${LIST}`);
  const skipped = [...failing.keys()].filter((name) => known.has(name)).length;
  if (skipped > 0) console.log(`skipped: ${skipped} cases that are known not to pass yet (${LIST})`);
  const failed = unknown.length + recovered.length + gone.length;
  return { passed: names.length - unknown.length - recovered.length - skipped, failed, skipped };
}

function caseNames() {
  return fs
    .readdirSync(path.join(folder, "cases"))
    .filter((name) => name.endsWith(".txtar"))
    .map((name) => name.slice(0, -".txtar".length));
}
