import fs from "node:fs";
import { closeDescriptor, openAt2, RESOLVE_IN_ROOT, systemCode } from "../../base/index.js";
import type { LayerId } from "../tree.js";
import { type BytePath, fromText, join, toBuffer } from "./bytes.js";

const O_PATH_DIRECTORY_CLOEXEC = 0o10000000 | 0o200000 | 0o2000000;

/**
 * The directory that SELECTOR names in a layer, below the layers' directory, which is the cwd. Links stay within the layer. Undefined for
 * what is no directory there.
 */
export function selectedDirectory(layer: LayerId, selector: string): BytePath | undefined {
  const root = fromText(`${layer}/fs`);
  if (selector === "" || selector === "/") return root;
  const fd = fs.openSync(toBuffer(root), "r");
  try {
    const selected = openAt2(fd, selector, { flags: O_PATH_DIRECTORY_CLOEXEC, resolve: RESOLVE_IN_ROOT });
    try {
      return join(root, pathOf(selected).slice(pathOf(fd).length + 1));
    } finally {
      closeDescriptor(selected);
    }
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

function pathOf(fd: number): BytePath {
  return fs.readlinkSync(`/proc/thread-self/fd/${fd}`, { encoding: "latin1" });
}
