import fs from "node:fs";
import path from "node:path";
import { EngineError } from "../engine/index.js";

/** Removes what an earlier run has written. What is no regular file is the machine's (/dev/stdout, /dev/null), and stays. */
export function removeResultFile(file: string): void {
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isFile()) fs.rmSync(file);
}

/**
 * Writes a result file so that nobody ever sees half of it: a new file takes the place of the old one. What is no regular file (a
 * pipe, /dev/stdout) is written to. Throws `not-found` where there is no directory for it, else the system's errors.
 */
export function writeResultFile(file: string, text: string): void {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat && !stat.isFile()) {
    fs.writeFileSync(file, text);
    return;
  }
  const target = stat ? fs.realpathSync(file) : file;
  const parent = path.dirname(target);
  if (!fs.existsSync(parent))
    throw new EngineError("not-found", `there is no directory ${parent} to write ${path.basename(file)} to`);
  const directory = fs.mkdtempSync(path.join(parent, ".ashlar-"));
  try {
    const made = path.join(directory, "file");
    fs.writeFileSync(made, text, { mode: stat ? stat.mode & 0o777 : 0o644 });
    fs.renameSync(made, target);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}
