// npm test: format and lint, types, dead code, unit tests and suites, conformance, end-to-end tests; then one line with the sum.
//
//   node scripts/test.mjs [PART ...]        only these parts: check, unit, conformance, e2e
//
// The Debian packages the tests use are named first and, as root on Debian, installed; ASHLAR_TEST_INSTALL=0 forbids that.
// A test whose program is missing is skipped and says so.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runConformance, WAYS } from "./conformance.mjs";
import { canInstall, findProgram, install } from "./debian.mjs";
import { withLaterNode } from "./later-node.mjs";

/** A program the tests use, and the package that holds it. */
const TOOLS = {
  runc: "runc",
  crun: "crun",
  busybox: "busybox-static",
  skopeo: "skopeo",
  umoci: "umoci",
  "docker-registry": "docker-registry",
  setfattr: "attr",
  xz: "xz-utils",
  bzip2: "bzip2",
  zstd: "zstd",
  git: "git",
  "ssh-add": "openssh-client",
  openssl: "openssl",
  strace: "strace",
  ip: "iproute2",
  nft: "nftables",
  iptables: "iptables",
  pasta: "passt",
  slirp4netns: "slirp4netns",
  newuidmap: "uidmap",
  "fuse-overlayfs": "fuse-overlayfs",
  protoc: "protobuf-compiler",
};
/** Other engines that take our images, an emulator and a server: large, or not to be left on anybody's own machine. */
const PEERS = {
  dockerd: "docker.io",
  podman: "podman",
  "qemu-aarch64-static": "qemu-user-static",
  sshd: "openssh-server",
};

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = (name) => path.join(root, "node_modules/.bin", name);
const isCi = Boolean(process.env.CI) && process.env.CI !== "false";

const PARTS = {
  check: () => [
    command("format and lint", bin("biome"), ["check", "--error-on-warnings", "."]),
    command("types", bin("tsc"), ["-p", "tsconfig.json"]),
    command("dead code", bin("knip"), ["--no-progress"]),
  ],
  unit: () => [vitest("unit tests and suites", "unit")],
  conformance: () => conformance(),
  e2e: () => [withNode(vitest("end-to-end tests", "e2e"))],
};

process.exitCode = await main(process.argv.slice(2));

async function main(names) {
  const unknown = names.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0) {
    console.error(`there is no part ${unknown.join(", ")}: there are ${Object.keys(PARTS).join(", ")}`);
    return 2;
  }
  provideTools();
  process.umask(0o022);
  const parts = names.length > 0 ? names : Object.keys(PARTS);
  if (parts.some((name) => name !== "check")) build();
  const results = [];
  for (const name of parts) {
    for (const step of PARTS[name]()) results.push(await run(step));
  }
  return report(results);
}

/** Builds the bundles once for all parts. Where that fails, the parts say so by what they miss. */
function build() {
  const { status } = spawnSync(process.execPath, ["scripts/build.mjs", "--no-types"], { cwd: root, stdio: "inherit" });
  if (status === 0) process.env.ASHLAR_TEST_BUILT = "1";
}

function provideTools() {
  const wanted = { ...TOOLS, ...(isCi ? PEERS : {}) };
  console.log(`The tests use these Debian packages: ${Object.values(TOOLS).join(" ")}`);
  console.log(`and, on a CI machine (CI=true): ${Object.values(PEERS).join(" ")}`);
  const missing = () => Object.keys(wanted).filter((program) => findProgram(program) === undefined);
  const packages = missing().map((program) => wanted[program]);
  if (packages.length === 0) return;
  if (process.env.ASHLAR_TEST_INSTALL === "0" || !canInstall()) {
    console.log(`Missing: ${packages.join(" ")}. To have all tests run: apt-get install ${packages.join(" ")}`);
    return;
  }
  // One package that can't be had must not keep the others away.
  if (!install(packages)) for (const name of packages) install([name]);
  const still = missing();
  if (still.length > 0) console.log(`Could not be installed: ${still.join(" ")}; the tests that use them are skipped`);
}

async function run({ title, work }) {
  console.log(`\n== ${title}`);
  const startedAt = performance.now();
  const counts = await work();
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (counts.passed + counts.failed === 0) {
    console.log(`${title}: no test ran`);
    counts.failed++;
  }
  console.log(`-- ${title}: ${sentence(counts)} in ${seconds} s`);
  return { title, ...counts };
}

function report(results) {
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  const total = { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
  const failed = results.filter((result) => result.failed > 0);
  if (failed.length > 0) console.log(`\nfailed: ${failed.map(({ title }) => title).join(", ")}`);
  console.log(`\n${sentence(total)}`);
  return total.failed > 0 ? 1 : 0;
}

function sentence({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** A part that passes or fails as a whole. */
function command(title, program, words) {
  const work = () => {
    const { status } = spawnSync(program, words, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    return status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
  };
  return { title, work };
}

function vitest(title, project) {
  const work = (told = {}) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-test-"));
    const file = path.join(directory, "counts.json");
    const words = ["run", "--project", project, "--reporter=default", "--reporter=./test/report.ts"];
    const env = { ...process.env, ...told, ASHLAR_TEST_COUNTS: file };
    const { status } = spawnSync(bin("vitest"), words, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
    const counts = fs.existsSync(file)
      ? JSON.parse(fs.readFileSync(file, "utf8"))
      : { passed: 0, failed: 0, skipped: 0 };
    fs.rmSync(directory, { recursive: true });
    // It may fail for more than a test: an error outside of any, a file that can't be loaded.
    return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
  };
  return { title, work };
}

/** STEP, whose tests are told of a later Node. */
function withNode({ title, work }) {
  return { title, work: () => withLaterNode(isCi, (node) => work(node ? { ASHLAR_TEST_NODE: node } : {})) };
}

function conformance() {
  const ways = WAYS.map((way) => ({ title: `conformance (${way.name})`, work: () => runConformance("", way) }));
  if (!isCi) console.log("The conformance cases run in one way only; on a CI machine (CI=true) in all.");
  return [{ title: "conformance", work: () => runConformance() }, ...(isCi ? ways : [])];
}
