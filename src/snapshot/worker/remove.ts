import fs from "node:fs";
import { systemCode } from "../../base/index.js";
import { type BytePath, join, toBuffer } from "./bytes.js";

/**
 * Removes PATH and everything below it, following no link; nothing there is fine. Names may be any bytes, and directories nested
 * deeper than a path can name: whatever a step leaves must go again.
 */
export function removeTree(path: BytePath, onEntry: () => void = () => {}): void {
  const removal = { top: path, onEntry };
  // What was too deep lies at the top after each turn.
  while (!removeEntry(path, removal));
}

interface Removal {
  readonly top: BytePath;
  readonly onEntry: () => void;
}

/** Bytes of a path below the top from which on a directory is moved there. A path may have 4096, the top's own included. */
const DEEP_BYTES = 2000;

/** Whether nothing is left of PATH: else part of it was moved to the top. */
function removeEntry(path: BytePath, removal: Removal): boolean {
  const { top, onEntry } = removal;
  onEntry();
  try {
    fs.unlinkSync(toBuffer(path));
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return true;
    if (code !== "EISDIR" && code !== "EPERM") throw error;
  }
  if (path.length > top.length + DEEP_BYTES) {
    fs.renameSync(toBuffer(path), toBuffer(newDirectory(top)));
    return false;
  }
  let isEmpty = true;
  for (const name of unlessGone(() => fs.readdirSync(toBuffer(path), "latin1")) ?? []) {
    if (!removeEntry(join(path, name), removal)) isEmpty = false;
  }
  // Elsewhere than at the top, what was in the way has been moved.
  if (path === top && !isEmpty) return false;
  unlessGone(() => fs.rmdirSync(toBuffer(path)));
  return isEmpty;
}

/** Somebody else may be removing the same. */
function unlessGone<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return undefined;
  }
}

/** An empty directory in PARENT. */
function newDirectory(parent: BytePath): BytePath {
  for (let n = 0; ; n++) {
    const path = join(parent, `deep-${n}`);
    try {
      fs.mkdirSync(toBuffer(path), { mode: 0o700 });
      return path;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
  }
}
