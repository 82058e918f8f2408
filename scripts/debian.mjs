// Programs that the quickstart and the tests need, and how Debian calls their packages.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/** The PATH of root: an ordinary user's lacks /usr/sbin, where Debian keeps runc. */
const SEARCH = [...new Set([...(process.env.PATH ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"])];

/** Where a program is, or undefined. */
export function findProgram(name) {
  return SEARCH.filter(Boolean)
    .map((directory) => path.join(directory, name))
    .find((file) => isExecutable(file));
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Whether packages can be installed with apt-get by this user. */
export function canInstall() {
  return process.getuid?.() === 0 && findProgram("apt-get") !== undefined;
}

/** Installs Debian packages, fetching the lists first where an installation without new ones fails. True if it worked. */
export function install(packages) {
  if (packages.length === 0) return true;
  const words = ["install", "-y", "--no-install-recommends", ...packages];
  console.log(`$ apt-get ${words.join(" ")}`);
  return aptGet(words, "pipe") || (aptGet(["update"], "inherit") && aptGet(words, "inherit"));
}

function aptGet(words, output) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = { env, stdio: ["ignore", output, output], timeout: INSTALL_TIMEOUT_MS };
  return spawnSync("apt-get", ["-q", "-o", "Dpkg::Use-Pty=0", ...words], options).status === 0;
}

const INSTALL_TIMEOUT_MS = 300_000;
