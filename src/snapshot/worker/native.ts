import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { systemCode } from "../../base/index.js";
import type { LayerId, Tree } from "../tree.js";
import { type BytePath, join, toBuffer } from "./bytes.js";
import type { JobContext } from "./context.js";
import { applyMetadata, copyContent, metadataOf } from "./layer-copy.js";
import { diffInto, placeFile } from "./layer-diff.js";
import { list, type StackDir, type StackEntry, stackOf } from "./layer-stack.js";
import { entriesIn, inodeKey, statOf } from "./layer-stat.js";
import { writeUnchangedNames } from "./layer-unchanged.js";
import { dropWhiteoutMark } from "./layer-whiteout.js";
import { stripReservedXattrs } from "./layer-xattrs.js";
import { removeTree } from "./remove.js";

/** What a mount without overlayfs shows: a tree to read, or one that the layer UPPER is made of. */
export interface MaterialiseRequest {
  readonly tree: Tree;
  readonly upper?: LayerId | undefined;
}

/**
 * The real directory to mount (its absolute path). To write: a full copy of the tree beside the layer, made once. To read: a tree of
 * directories whose files are other names of the layers' own, made once per tree beside its topmost layer; never write to that. A layer
 * alone that hides nothing is its own view.
 */
export function materialise({ tree, upper }: MaterialiseRequest, context: JobContext): string {
  const at = (relative: string) => path.join(context.dirs.layers, relative);
  if (upper !== undefined) return at(copyOf(tree, upper, context));
  return at(viewOf(tree, context));
}

/** Whether a layer's writes went to a full copy. */
export function hasFull(layer: LayerId): boolean {
  return fs.existsSync(`${layer}/${FULL}`);
}

/** Turns the full copy a layer was written in into its upper directory, and removes the copy. */
export function commitFull(
  { layer, parents }: { readonly layer: LayerId; readonly parents: Tree },
  context: JobContext,
): void {
  const full = `${layer}/${FULL}`;
  const target = `${layer}/fs`;
  const snapshot = readSnapshot(layer);
  dropMarks(full);
  // What an interrupted attempt left.
  removeTree(target, () => context.checkCanceled());
  fs.mkdirSync(target, { mode: 0o755 });
  const unchanged = diffInto(
    {
      lower: stackOf(parents),
      upper: { parts: [full] },
      target,
      isUntouched: (name, entry) => snapshot.get(name) === fingerprint(entry),
    },
    context,
  );
  stripAll(target);
  writeUnchangedNames(layer, unchanged);
  fs.rmSync(`${layer}/${SNAPSHOT}`, { force: true });
  removeTree(full, () => context.checkCanceled());
}

const FULL = "full";
const SNAPSHOT = "full.stat.json";
/** A change this soon after the snapshot may have got the same time stamp: the kernel's clock for files ticks every 1 to 10 ms. */
const RACY_NS = 20_000_000n;

/** Inode and ctime: nobody can change a file and leave both as they are. */
function fingerprint({ stat }: Pick<StackEntry, "stat">): string {
  return `${stat.ino}:${stat.ctimeNs}`;
}

function copyOf(tree: Tree, upper: LayerId, context: JobContext): string {
  const full = `${upper}/${FULL}`;
  if (fs.existsSync(full)) return full;
  const made = `${upper}/${FULL}.new`;
  removeTree(made, () => context.checkCanceled());
  const copies = new Map<string, BytePath>();
  let bytes = 0;
  populate({ source: stackOf(tree), target: made, root: `${upper}/fs` }, context, (entry, target) => {
    const key = entry.stat.nlink > 1 ? inodeKey(entry.stat) : undefined;
    const copy = key === undefined ? undefined : copies.get(key);
    if (copy !== undefined) {
      fs.linkSync(toBuffer(copy), toBuffer(target));
      return;
    }
    copyContent(entry, target, (more) => {
      bytes += more;
      context.checkCanceled();
      context.report({ current: bytes, unit: "bytes" });
    });
    applyMetadata(target, metadataOf(entry));
    if (key !== undefined) copies.set(key, target);
  });
  writeSnapshot(upper, made);
  fs.renameSync(made, full);
  return full;
}

function viewOf(tree: Tree, context: JobContext): string {
  const key = createHash("sha256").update(tree.join(",")).digest("hex").slice(0, VIEW_KEY_DIGITS);
  const view = `${tree.at(-1)}/view-${key}`;
  if (fs.existsSync(view)) return view;
  const top = `${tree.at(-1)}/fs`;
  const made = fs.mkdtempSync(`${view}.`);
  if (tree.length === 1 && !hidesAnything(top, context)) fs.symlinkSync("fs", `${made}/fs`);
  else {
    const target = `${made}/fs`;
    populate({ source: stackOf(tree), target, root: top }, context, (entry, to) => placeFile(entry, to, undefined));
  }
  try {
    fs.renameSync(`${made}/fs`, view);
  } catch (error) {
    // Somebody else was faster; theirs is as good.
    if (systemCode(error) !== "ENOTEMPTY" && systemCode(error) !== "EEXIST") throw error;
  }
  removeTree(made);
  return view;
}

const VIEW_KEY_DIGITS = 16;

/** Whether a layer has a whiteout. */
function hidesAnything(directory: BytePath, context: JobContext): boolean {
  context.checkCanceled();
  for (const { path: at, stat } of entriesIn(directory)) {
    if (stat.kind === "whiteout" || (stat.kind === "directory" && hidesAnything(at, context))) return true;
  }
  return false;
}

/** What to make directories of, and where. */
interface Copying {
  readonly source: StackDir;
  /** Must not exist. */
  readonly target: BytePath;
  /** The real directory whose metadata the topmost one gets. */
  readonly root: BytePath;
}

/** Makes the directories of a stack and lets PLACE put the files. */
function populate(
  { source, target, root }: Copying,
  context: JobContext,
  place: (entry: StackEntry, target: BytePath) => void,
): void {
  const fill = (directory: StackDir, into: BytePath, like: BytePath): void => {
    context.checkCanceled();
    fs.mkdirSync(toBuffer(into), { mode: 0o755 });
    for (const [name, entry] of list(directory)) {
      const path = join(into, name);
      if (entry.dir) fill(entry.dir, path, entry.path);
      else if (entry.stat.kind !== "socket") place(entry, path);
    }
    const stat = statOf(like);
    if (stat) applyMetadata(into, metadataOf({ path: like, stat }));
  };
  fill(source, target, root);
}

/** Notes what every file of the copy looks like before anybody writes. */
function writeSnapshot(layer: LayerId, copy: BytePath): void {
  const now = statOf(copy)?.ctimeNs ?? 0n;
  const fingerprints: [BytePath, string][] = [];
  const visit = (directory: BytePath, prefix: BytePath): void => {
    for (const { name, path: at, stat } of entriesIn(directory)) {
      if (stat.ctimeNs < now - RACY_NS) fingerprints.push([prefix + name, fingerprint({ stat })]);
      if (stat.kind === "directory") visit(at, `${prefix}${name}/`);
    }
  };
  visit(copy, "");
  fs.writeFileSync(`${layer}/${SNAPSHOT}`, JSON.stringify(fingerprints));
}

function readSnapshot(layer: LayerId): ReadonlyMap<BytePath, string> {
  const file = `${layer}/${SNAPSHOT}`;
  return new Map(fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as [BytePath, string][]) : []);
}

/** Only a step can have marked a file in a full copy: it is a file like any other. */
function dropMarks(directory: BytePath): void {
  for (const { path: at, stat } of entriesIn(directory)) {
    if (stat.kind === "whiteout") dropWhiteoutMark(at);
    else if (stat.kind === "directory") dropMarks(at);
  }
}

function stripAll(directory: BytePath): void {
  for (const { path: at, stat } of entriesIn(directory)) {
    if (stat.kind === "whiteout") continue;
    stripReservedXattrs(at);
    if (stat.kind === "directory") stripAll(at);
  }
}
