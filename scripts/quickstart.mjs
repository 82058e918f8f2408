// npm run quickstart: from a fresh clone to an image that runs.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { makeBusyboxLayout } from "./busybox-layout.mjs";
import { canInstall, findProgram, install } from "./debian.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const example = path.join(root, "examples/hello");
const archive = path.join(root, "hello.oci.tar");
/** The base image where Docker Hub can't be reached; once it is there, it is used again. */
const LOCAL_BASE = "ashlar-busybox";
const REMOTE_BASE = "docker.io/library/busybox:latest";
/** How long Docker Hub has to answer. Milliseconds. */
const ANSWER_WITHIN_MS = 5000;

try {
  await main();
} catch (error) {
  console.error(`quickstart: ${error.message}`);
  process.exitCode = 1;
}

async function main() {
  await prepareRuntime();
  const base = await findBase();
  step("Building examples/hello as the image hello");
  ashlar("build", "-t", "hello", "--build-arg", `BASE=${base}`, example);
  step("Writing it as an OCI archive; all of it is in the cache now");
  ashlar("build", "-o", `type=oci,dest=${archive}`, "--build-arg", `BASE=${base}`, example);
  step("Running it");
  ashlar("run", "hello");
  console.log(`
That was it. Try next, from ${root}:
  bin/ashlar run -e HELLO_LANGUAGE=fr hello     the same image in French
  bin/ashlar images                             the images of this machine
  npm run quickstart                            again: every step is CACHED
  edit examples/hello/greetings.txt, then again: only the steps that see the change run
  bin/ashlar build --help                       all flags of the build`);
}

async function prepareRuntime() {
  const found = ["runc", "crun"].find((name) => findProgram(name));
  if (found) return console.log(`OCI runtime: ${findProgram(found)}`);
  await installed("runc", "no OCI runtime (runc or crun) found", "install runc or crun with your package manager");
}

/** Installs a Debian package where that can be done; throws with ADVICE, one line, where not. */
async function installed(name, problem, advice) {
  if (!canInstall()) throw new Error(`${problem}: ${advice}`);
  step(`${problem}: installing Debian's package ${name}`);
  if (!install([name])) throw new Error(`apt-get could not install ${name}: ${advice}`);
}

/** The name of the base image: the one made here before, busybox of Docker Hub, or one made here now. */
async function findBase() {
  if (ashlarPrints("images", "-q", LOCAL_BASE) !== "") return LOCAL_BASE;
  step("Looking for Docker Hub");
  if (await hubAnswers()) {
    console.log(`base image: ${REMOTE_BASE}`);
    return REMOTE_BASE;
  }
  console.log(`Docker Hub did not answer within ${ANSWER_WITHIN_MS / 1000} seconds, so the base image is made here.`);
  if (!staticBusybox()) {
    await installed("busybox-static", "no static busybox found", "install busybox-static with your package manager");
  }
  const layout = fs.mkdtempSync(path.join(fs.realpathSync("/tmp"), "ashlar-quickstart-"));
  try {
    makeBusyboxLayout(staticBusybox(), layout);
    ashlar("load", "-i", layout, "-t", LOCAL_BASE);
  } finally {
    fs.rmSync(layout, { recursive: true });
  }
  return LOCAL_BASE;
}

/** Whether the registry of Docker Hub speaks: 401 is what it says to someone it doesn't know yet. */
async function hubAnswers() {
  try {
    const { status } = await fetch("https://registry-1.docker.io/v2/", {
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    return status === 200 || status === 401;
  } catch {
    return false;
  }
}

/** A busybox that needs no library: it names no program interpreter. */
function staticBusybox() {
  const file = findProgram("busybox");
  if (!file) return undefined;
  const interpreter = /\/lib(?:64)?\/ld-[\w.-]+\.so/;
  return interpreter.test(fs.readFileSync(file).subarray(0, 4096).toString("latin1")) ? undefined : file;
}

function step(text) {
  console.log(`\n== ${text}`);
}

function ashlar(...words) {
  console.log(`$ ashlar ${words.map(shown).join(" ")}`);
  const { status, error } = spawnSync(path.join(root, "bin/ashlar"), words, {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`ashlar ${words[0]} ended with ${status}`);
}

function ashlarPrints(...words) {
  const { status, stdout, stderr } = spawnSync(path.join(root, "bin/ashlar"), words, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr.trim());
  return stdout.trim();
}

/** Paths below this directory as one would type them there. */
function shown(word) {
  return word.replaceAll(`${root}/`, "");
}
