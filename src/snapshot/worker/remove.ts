import fs from "node:fs";
import { systemCode } from "../../base/index.js";
import { type BytePath, join, toBuffer } from "./bytes.js";

/** Removes PATH and everything below it, following no link; nothing there is fine. Names may be any bytes. */
export function removeTree(path: BytePath, onEntry: () => void = () => {}): void {
  onEntry();
  try {
    fs.unlinkSync(toBuffer(path));
    return;
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return;
    if (code !== "EISDIR" && code !== "EPERM") throw error;
  }
  for (const name of fs.readdirSync(toBuffer(path), "latin1")) removeTree(join(path, name), onEntry);
  fs.rmdirSync(toBuffer(path));
}
