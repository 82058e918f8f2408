import { spawn } from "node:child_process";
import fs from "node:fs";
import { EngineError, getXattr, MNT_DETACH, unmount } from "../../base/index.js";
import { type BytePath, toBuffer } from "./bytes.js";
import { readLink } from "./layer-compare.js";
import { lookUp, type StackDir } from "./layer-stack.js";
import { entriesIn } from "./layer-stat.js";

/** What fuse-overlayfs is to stack; directories as its options have them. */
export interface FuseStack {
  readonly options: string;
  /** An absolute path. */
  readonly target: string;
}

/** How long the program may take until its mount is there. */
const MOUNT_LIMIT_MS = 10_000;
const MOUNT_PAUSE_MS = 1;
const SETPRIV = "setpriv";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Mounts a stack through PROGRAM, fuse-overlayfs(1), which serves the mount until it is taken away or this thread ends. Throws `unavailable`
 * where it can't.
 */
export function mountFuseStack(program: string, { options, target }: FuseStack): void {
  const before = fs.statSync(target).dev;
  // In the foreground and dying with its parent: as a daemon it would keep the mount namespace alive, and with it every mount.
  const argv = ["--pdeathsig", "KILL", "--", program, "-f", "-o", options, target];
  const child = spawn(SETPRIV, argv, { env: { PATH }, stdio: "ignore" });
  child.unref();
  child.on("error", () => undefined); // seen below
  for (let waitedMs = 0; waitedMs < MOUNT_LIMIT_MS; waitedMs += MOUNT_PAUSE_MS) {
    if (fs.statSync(target).dev !== before) return;
    if (child.pid === undefined || hasEnded(child.pid)) break;
    Atomics.wait(PAUSE, 0, 0, MOUNT_PAUSE_MS);
  }
  child.kill("SIGKILL");
  try {
    unmount(target, MNT_DETACH);
  } catch {
    // It was not mounted.
  }
  throw new EngineError("unavailable", "fuse-overlayfs could not mount a file system", {
    hint: "look whether /dev/fuse is there and may be opened by everybody",
  });
}

const PAUSE = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Nobody waits for the child while this thread is busy: once ended it is a zombie. */
function hasEnded(pid: number): boolean {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}

/** Names by which fuse-overlayfs marks, beside the attribute, a directory that hides what is below. */
const OPAQUE_NAMES = new Set([".wh..wh..opq", ".wh..opq"]);

/** Whether an upper directory of fuse-overlayfs has NAME as a mark of its own; steps can make no such names there. */
export function isFuseMark(name: string): boolean {
  return OPAQUE_NAMES.has(name);
}

const ORIGIN_XATTR = "user.fuseoverlayfs.origin";

/**
 * Whether fuse-overlayfs made all that is in an upper directory over LOWER only to have it there: nothing in the directory was added,
 * replaced or removed, and its time should be that of the one below, which the program does not put back. To be asked before attributes
 * are taken away.
 */
export function isOnlyCopiedUp(directory: BytePath, lower: StackDir): boolean {
  let copies = 0;
  for (const { name, path, stat } of entriesIn(directory)) {
    if (isFuseMark(name)) return false;
    const below = lookUp(lower, name);
    if (below?.stat.kind !== stat.kind) return false;
    copies++;
    if (stat.kind === "directory") {
      if (getXattr(toBuffer(path), OPAQUE_XATTR) !== undefined) return false;
    } else if (stat.kind === "file" && getXattr(toBuffer(path), ORIGIN_XATTR) === undefined) return false;
    else if (stat.kind === "symlink" && readLink(path) !== readLink(below.path)) return false;
  }
  return copies > 0;
}

const OPAQUE_XATTR = "user.fuseoverlayfs.opaque";
