import fs from "node:fs";
import path from "node:path";
import {
  closeDescriptor,
  EngineError,
  MS_BIND,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
  mount,
  openAt2,
  RESOLVE_IN_ROOT,
  systemCode,
} from "../../base/index.js";
import type { Job } from "./context.js";
import { lend } from "./ownership.js";

const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
let counter = 0;

/** Where a selected file or directory was bound; `unmount` takes it away. */
export interface Bound {
  readonly path: string;
  readonly kind: "dir" | "file";
}

/**
 * Binds what PATH names below the directory ROOT to a path of its own. No link leads out of ROOT, and what is bound is the very file that
 * was resolved, whatever somebody renames meanwhile. Throws `not-found`.
 */
export const bindSelected: Job<{ readonly root: string; readonly path: string; readonly readonly: boolean }, Bound> = (
  request,
  { dirs },
) => {
  const root = fs.openSync(request.root, "r");
  try {
    const fd = openSelected(root, request.path);
    try {
      const kind = fs.fstatSync(fd).isDirectory() ? "dir" : "file";
      const target = path.join(dirs.mounts, `bind-${counter++}`);
      if (kind === "dir") fs.mkdirSync(target, { mode: 0o700 });
      else fs.writeFileSync(target, "", { mode: 0o600 });
      mount(`/proc/thread-self/fd/${fd}`, target, "none", MS_BIND);
      if (request.readonly) mount("none", target, "none", MS_BIND | MS_REMOUNT | MS_RDONLY);
      return { path: target, kind };
    } finally {
      closeDescriptor(fd);
    }
  } finally {
    fs.closeSync(root);
  }
};

export interface TemporaryRequest {
  readonly root: string;
  /** The directory that it is going to hide: it gets the mode of that, as from runtimes. */
  readonly path: string;
  /** Absent: half of the memory. */
  readonly sizeBytes?: number | undefined;
}

/** Mounts a temporary file system, to be bound by more than one container; gives its path, which `unmount` takes away with all in it. */
export const mountTemporary: Job<TemporaryRequest, string> = ({ root, path: hidden, sizeBytes = 0 }, { dirs }) => {
  const fd = fs.openSync(root, "r");
  try {
    const over = openSelected(fd, hidden);
    try {
      const mode = fs.fstatSync(over).mode & MODE_BITS;
      const target = path.join(dirs.mounts, `temporary-${counter++}`);
      fs.mkdirSync(target, { mode: 0o700 });
      const size = sizeBytes === 0 ? "" : `,size=${sizeBytes}`;
      mount("tmpfs", target, "tmpfs", MS_NOSUID, `mode=${mode.toString(8)}${size}`);
      return target;
    } finally {
      closeDescriptor(over);
    }
  } finally {
    fs.closeSync(fd);
  }
};

const MODE_BITS = 0o7777;

function openSelected(root: number, selector: string): number {
  try {
    return openAt2(root, selector === "" ? "/" : selector, { flags: O_PATH | O_CLOEXEC, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    const code = systemCode(error);
    if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "ELOOP") throw error;
    throw new EngineError("not-found", `${JSON.stringify(selector)}: not found`, { cause: error });
  }
}

export interface SecretFile {
  readonly data: Uint8Array;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Writes a secret into the private tmpfs of mount points, where no other mount namespace and no disk sees it; gives its path. */
export const writeSecret: Job<SecretFile, string> = ({ data, uid, gid, mode }, { dirs }) => {
  const file = path.join(dirs.mounts, `secret-${counter++}`);
  fs.writeFileSync(file, data, { mode: 0o600, flag: "wx" });
  lend(file, uid, gid);
  fs.chmodSync(file, mode);
  return file;
};

/** Gives a file, a socket say, to a user of the step. */
export const giveFile: Job<
  { readonly path: string; readonly uid: number; readonly gid: number; readonly mode: number },
  void
> = ({ path: file, uid, gid, mode }) => {
  lend(file, uid, gid);
  fs.chmodSync(file, mode);
};

/** Removes a secret's file. */
export const removeSecret: Job<{ readonly path: string }, void> = ({ path: file }) => fs.rmSync(file, { force: true });
