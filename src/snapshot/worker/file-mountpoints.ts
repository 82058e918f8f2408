import fs from "node:fs";
import type { Workspace } from "../tree.js";
import { type BytePath, fromText } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { type Entry, native } from "./file-entry.js";
import { naming } from "./file-errors.js";
import { cleanPath, parentOf } from "./file-paths.js";
import { Target } from "./file-target.js";
import { mountTree, unmountTree } from "./mounting.js";

/** Where a step's root file system is: a workspace, or one that is mounted already at a path of the host. */
export type StepRoot =
  | { readonly kind: "workspace"; readonly workspace: Workspace }
  | { readonly kind: "mounted"; readonly path: string };

/** Something a mount will cover. */
export interface Mountpoint {
  /** UTF-8 text, from the root. */
  readonly path: string;
  readonly kind: "dir" | "file";
  /** Of a directory that has to be made. */
  readonly mode?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o644;

/**
 * Makes what is missing of the mountpoints and the directories above them, links followed inside the root, and gives the paths made,
 * in order, for `removeMountpoints` alone to read. As in the reference, the directories they are made in take the time of it.
 */
export const makeMountpoints: Job<
  { readonly root: StepRoot; readonly paths: readonly Mountpoint[] },
  readonly string[]
> = ({ root, paths }, context) =>
  withRoot(root, context, (target) => {
    const made: BytePath[] = [];
    for (const { path, kind, mode = DIRECTORY_MODE, owner } of paths) {
      const plain = target.resolve(cleanPath(fromText(path)));
      const missing: BytePath[] = [];
      for (let at = plain; at !== "" && !target.lstat(at); at = parentOf(at)) missing.push(at);
      for (const at of missing.reverse()) {
        if (at === plain && kind === "file") fs.closeSync(target.create(at, FILE_MODE));
        else target.makeDirectory(at, at === plain ? mode : DIRECTORY_MODE);
        if (owner) target.chown(at, owner);
        made.push(at);
      }
    }
    return made;
  });

/**
 * Removes what `makeMountpoints` made and is still empty, innermost first, and leaves no trace of that in the times of the
 * directories it was in. What the step has put in its place, and what lies behind a link that it planted, is left alone.
 */
export const removeMountpoints: Job<{ readonly root: StepRoot; readonly made: readonly BytePath[] }, void> = (
  { root, made },
  context,
) =>
  withRoot(root, context, (target) => {
    for (const path of [...made].reverse()) {
      const entry = leadsThroughLink(target, path) ? undefined : target.lstat(path);
      if (entry && isEmpty(target, path, entry))
        keepingTimes(target, parentOf(path), () => removeOne(target, path, entry));
    }
  });

/** Whether the step has made a link, or a file, of something above. */
function leadsThroughLink(target: Target, path: BytePath): boolean {
  try {
    return target.resolve(path) !== path;
  } catch {
    return true;
  }
}

function isEmpty(target: Target, path: BytePath, { kind, size }: Entry): boolean {
  return kind === "dir" ? target.list(path).length === 0 : kind === "file" && size === 0;
}

function removeOne(target: Target, path: BytePath, { kind }: Entry): void {
  if (kind === "dir") naming("rmdir", path, () => fs.rmdirSync(native(target.at(path))));
  else target.unlink(path);
}

function keepingTimes(target: Target, directory: BytePath, work: () => void): void {
  const before = target.lstat(directory);
  work();
  if (before?.mtimeNs !== undefined) target.setTimes(directory, before.atimeNs, before.mtimeNs);
}

function withRoot<T>(root: StepRoot, context: JobContext, work: (target: Target) => T): T {
  if (root.kind === "mounted") return work(new Target(root.path));
  const path = mountTree({ tree: root.workspace.parents, upper: root.workspace.layer }, context);
  try {
    return work(new Target(path));
  } finally {
    unmountTree(path);
  }
}
