import fs from "node:fs";
import { EngineError, systemCode } from "../../base/index.js";
import type { Workspace } from "../tree.js";
import { type BytePath, fromText, join, toBuffer } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { layerDir } from "./mounting.js";
import { chown } from "./ownership.js";
import { removeTree } from "./remove.js";

export interface PlacedFile {
  /** An empty workspace over nothing. */
  readonly workspace: Workspace;
  /** A file of the engine's own, which is moved. */
  readonly file: string;
  /** A plain file name. */
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

/** Makes FILE the one file of a new layer. */
export const placeFile: Job<PlacedFile, void> = ({ workspace, file, name, mode, uid, gid, mtime }, context) => {
  if (name === "" || name === "." || name === ".." || name.includes("/"))
    throw new EngineError("internal", `${JSON.stringify(name)} is no file name`);
  const target = toBuffer(join(fromText(layerDir(context, workspace.layer)), fromText(name)));
  move(file, target);
  chown(target, uid, gid);
  fs.chmodSync(target, mode);
  fs.utimesSync(target, mtime, mtime);
};

export interface Checkout {
  /** An empty workspace over nothing, or one that what `from` names was written to already. */
  readonly workspace: Workspace;
  /** A directory of the engine's own whose SUBDIRECTORY becomes the layer. Absent: the files are in the layer. */
  readonly from?: { readonly directory: string; readonly subdirectory: string } | undefined;
  /** Leave out every `.git` but the one at the top. */
  readonly withoutLinks: boolean;
  /** Seconds since the epoch for everything; absent leaves the times. */
  readonly mtime?: number | undefined;
}

/** Makes what a version control program has written a layer. `invalid` where the subdirectory leads through anything but directories. */
export const settleCheckout: Job<Checkout, void> = ({ workspace, from, withoutLinks, mtime }, context) => {
  const root = fromText(layerDir(context, workspace.layer));
  if (from !== undefined) {
    const directory = plainDirectory(fromText(from.directory), from.subdirectory);
    for (const name of fs.readdirSync(toBuffer(directory), "latin1"))
      fs.renameSync(toBuffer(join(directory, name)), toBuffer(join(root, name)));
  }
  if (withoutLinks || mtime !== undefined) settle(root, { withoutLinks, mtime }, context);
};

/** The directory at PATH below ROOT, reached through directories only: a link could lead out. */
function plainDirectory(root: BytePath, path: string): BytePath {
  let directory = root;
  for (const part of path.split("/").filter((each) => each !== "" && each !== ".")) {
    if (part === "..") throw new EngineError("invalid", `invalid subdir ${JSON.stringify(path)}`);
    directory = join(directory, fromText(part));
    const stat = fs.lstatSync(toBuffer(directory), { throwIfNoEntry: false });
    if (stat === undefined)
      throw new EngineError("not-found", `failed to open subdir ${JSON.stringify(path)}: no such file or directory`);
    if (!stat.isDirectory())
      throw new EngineError(
        "invalid",
        `git subpath ${JSON.stringify(path)} contains non-directory ${JSON.stringify(part)}`,
      );
  }
  return directory;
}

function settle(root: BytePath, options: Pick<Checkout, "withoutLinks" | "mtime">, context: JobContext): void {
  const { withoutLinks, mtime } = options;
  const directories = [root];
  // Grows while it is walked: a parent comes before what is in it.
  for (const directory of directories) {
    context.checkCanceled();
    for (const entry of fs.readdirSync(toBuffer(directory), { encoding: "latin1", withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (withoutLinks && entry.name === ".git") removeTree(path);
      else if (entry.isDirectory()) directories.push(path);
      else if (mtime !== undefined) fs.lutimesSync(toBuffer(path), mtime, mtime);
    }
  }
  if (mtime === undefined) return;
  for (const directory of directories.reverse()) fs.utimesSync(toBuffer(directory), mtime, mtime);
}

function move(file: string, target: Buffer): void {
  try {
    fs.renameSync(file, target);
  } catch (error) {
    if (systemCode(error) !== "EXDEV") throw error;
    fs.copyFileSync(file, target, fs.constants.COPYFILE_EXCL);
    fs.unlinkSync(file);
  }
}
