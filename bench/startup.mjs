// How long a rebuild takes in which nothing changed, beside `node -e 0` and, where a Docker daemon answers, `docker build`, in one run:
// the fastest of N rounds each, in turns, and their ratios. The machine's own noise is in all of them.
//
//   node bench/startup.mjs [ROUNDS] [-- NODE]        as root, after npm run build
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dash = process.argv.indexOf("--");
const node = dash > 0 ? process.argv[dash + 1] : process.execPath;
const rounds = Number(process.argv[2] && dash !== 2 ? process.argv[2] : 20);

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-bench-"));
try {
  fs.writeFileSync(
    path.join(directory, "Dockerfile"),
    "FROM scratch AS a\nCOPY a /a\nFROM scratch\nCOPY --from=a /a /b\nCOPY a /c\n",
  );
  fs.writeFileSync(path.join(directory, "a"), "a\n");
  const state = path.join(directory, ".state");
  fs.writeFileSync(path.join(directory, ".dockerignore"), ".state\n");
  const ashlar = [node, path.join(root, "bin/ashlar"), "build", "-q", "-t", "bench", "--root", state, directory];
  const commands = { "node -e 0": [node, "-e", "0"], "ashlar build": ashlar };
  if (spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0)
    commands["docker build"] = ["docker", "build", "-q", "-t", "bench", directory];
  for (const command of Object.values(commands)) timed(command);
  const best = Object.fromEntries(Object.keys(commands).map((name) => [name, Number.POSITIVE_INFINITY]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of Object.entries(commands)) best[name] = Math.min(best[name], timed(command));
  }
  const own = best["ashlar build"];
  for (const [name, ms] of Object.entries(best))
    console.log(`${name.padEnd(14)} ${ms.toFixed(0).padStart(5)} ms  ${(own / ms).toFixed(2)} times this`);
} finally {
  fs.rmSync(directory, { recursive: true, force: true });
}

function timed([program, ...words]) {
  const startedAt = performance.now();
  execFileSync(program, words, { stdio: "ignore", env: { ...process.env, DOCKER_BUILDKIT: "1" } });
  return performance.now() - startedAt;
}
