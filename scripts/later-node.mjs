// A later Node for the tests that compare what different ones make: ASHLAR_TEST_NODE's, and on a CI machine one of npm's packages.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const VERSION = 24;
/** It is some 50 MB to download. Milliseconds. */
const INSTALL_MS_MAX = 120_000;

/**
 * Calls WORK with the path of a later Node, or with undefined where there is none; what was downloaded is removed afterwards.
 */
export function withLaterNode(isCi, work) {
  const given = process.env.ASHLAR_TEST_NODE;
  if (given || !isCi || Number(process.versions.node.split(".")[0]) >= VERSION) return work(given);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-node-"));
  try {
    const name = `node-linux-${process.arch}`;
    const words = ["install", "--prefix", directory, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
    spawnSync("npm", [...words, `${name}@${VERSION}`], { cwd: directory, stdio: "ignore", timeout: INSTALL_MS_MAX });
    const node = path.join(directory, "node_modules", name, "bin/node");
    const isThere = spawnSync(node, ["--version"]).status === 0;
    if (!isThere) console.log(`${name}@${VERSION} can't be had from npm: what it makes is not compared`);
    return work(isThere ? node : undefined);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}
