import fs from "node:fs";
import type { LayerId, Tree } from "../tree.js";
import { type BytePath, join, toBuffer } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { isFuseMark, isOnlyCopiedUp } from "./fuse-overlay.js";
import { isUnchanged } from "./layer-compare.js";
import { type LayerSummary, measure } from "./layer-measure.js";
import { list, lookUp, NOTHING, type StackDir, stackOf } from "./layer-stack.js";
import { entriesIn, type FileStat, inodeKey, statOf } from "./layer-stat.js";
import { writeUnchangedNames } from "./layer-unchanged.js";
import { dropWhiteoutMark, makeWhiteout } from "./layer-whiteout.js";
import { isOpaque, opaqueMarks, stripReservedXattrs } from "./layer-xattrs.js";
import { commitFull, hasFull } from "./native.js";
import { setTimes } from "./ownership.js";
import { removeTree } from "./remove.js";

/** A layer to commit, and what it was made on. Nobody may have it mounted any more. */
export interface CommitArgs {
  readonly layer: LayerId;
  readonly parents: Tree;
}

/**
 * Turns what was written on top of a tree into the layer's committed form: nothing in it that equals what is below, explicit whiteouts
 * instead of opaque directories, none for what is not there, no reserved attributes, no sockets. The same whichever
 * snapshotter took the writes. Repeating it changes nothing.
 */
export const commitLayer: Job<CommitArgs, LayerSummary> = ({ layer, parents }, context) => {
  if (hasFull(layer)) commitFull({ layer, parents }, context);
  // Without its full copy, a layer over others that was written in one was committed before.
  else if (context.snapshotter !== "native" || parents.length === 0) commitUpper({ layer, parents }, context);
  removeTree(`${layer}/work`);
  return measure(`${layer}/fs`, context);
};

/**
 * Hides, below the real directory UPPER, every name of LOWER that UPPER does not have itself: what an opaque mark says, in explicit
 * whiteouts. Keeps the times of the directories.
 */
export function hideLower(upper: BytePath, lower: StackDir): void {
  const names = list(lower);
  if (names.size === 0) return;
  keepingTime(upper, () => {
    for (const [name, entry] of names) {
      const path = join(upper, name);
      const stat = statOf(path);
      if (!stat) makeWhiteout(path);
      else if (stat.kind === "directory" && entry.dir) hideLower(path, entry.dir);
    }
  });
}

/** Runs WORK, which changes what is in DIRECTORY, and gives the directory its time back. */
export function keepingTime(directory: BytePath, work: () => void): void {
  const before = statOf(directory);
  work();
  if (before) setTimes(toBuffer(directory), before.mtimeNs, before.mtimeNs);
}

/** Names that are linked to each other in an upper directory. */
interface LinkGroup {
  /** Whether any of the names is new or changed: then the unchanged ones stay, so that they stay linked. */
  changed: boolean;
  readonly unchanged: BytePath[];
}

function commitUpper({ layer, parents }: CommitArgs, context: JobContext): void {
  const top = `${layer}/fs`;
  const pass = new UpperPass(context);
  stripReservedXattrs(top);
  pass.visit(top, stackOf(parents), false);
  const groups = [...pass.groups.values()];
  // Only after the first pass is it known which groups have no changed name.
  if (groups.some((group) => !group.changed && group.unchanged.length > 0)) {
    new UpperPass(context, pass.groups).visit(top, stackOf(parents), false);
  }
  const kept = groups.filter((group) => group.changed).flatMap((group) => group.unchanged);
  writeUnchangedNames(
    layer,
    kept.map((path) => path.slice(top.length + 1)),
  );
}

class UpperPass {
  readonly groups = new Map<string, LinkGroup>();
  readonly #context: JobContext;
  readonly #known: ReadonlyMap<string, LinkGroup> | undefined;
  readonly #opaqueMarks: readonly string[];

  constructor(context: JobContext, known?: ReadonlyMap<string, LinkGroup>) {
    this.#context = context;
    this.#known = known;
    this.#opaqueMarks = opaqueMarks(context.snapshotter);
  }

  /** Cleans a real directory over what is below it; OPAQUE: nothing of that shows. Says whether anything is left in it. */
  visit(directory: BytePath, lower: StackDir, opaque: boolean): boolean {
    this.#context.checkCanceled();
    let left = false;
    const before = statOf(directory);
    let touched = false;
    const fuse = this.#context.snapshotter === "fuse-overlayfs";
    const [below] = lower.parts;
    const like = fuse && !opaque && below !== undefined && isOnlyCopiedUp(directory, lower) ? statOf(below) : before;
    if (opaque) hideLower(directory, lower);
    for (const { name, path, stat } of entriesIn(directory)) {
      if (!(fuse && isFuseMark(name)) && this.#keep(name, path, stat, { lower, opaque })) left = true;
      else {
        if (stat.kind === "directory") fs.rmdirSync(toBuffer(path));
        else fs.unlinkSync(toBuffer(path));
        touched = true;
      }
    }
    if (like && (touched || like !== before)) setTimes(toBuffer(directory), like.mtimeNs, like.mtimeNs);
    return left;
  }

  #keep(name: BytePath, path: BytePath, stat: FileStat, around: { lower: StackDir; opaque: boolean }): boolean {
    if (stat.kind === "socket") return false;
    const below = around.lower.parts.length === 0 ? undefined : lookUp(around.lower, name);
    if (stat.kind === "whiteout") {
      // Only a step can have marked a file here: it is a file like any other.
      const file = dropWhiteoutMark(path) ? statOf(path) : undefined;
      return file ? this.#keep(name, path, file, around) : below !== undefined;
    }
    const opaque = stat.kind === "directory" && isOpaque(path, this.#opaqueMarks);
    stripReservedXattrs(path);
    if (stat.kind === "directory") {
      const left = this.visit(path, below?.dir ?? NOTHING, around.opaque || opaque);
      return left || !below || !isUnchanged(below, { path, stat });
    }
    const unchanged = below !== undefined && isUnchanged(below, { path, stat });
    return stat.nlink > 1 ? this.#keepLinked(path, inodeKey(stat), unchanged) : !unchanged;
  }

  #keepLinked(path: BytePath, key: string, unchanged: boolean): boolean {
    if (this.#known) return !unchanged || this.#known.get(key)?.changed === true;
    const group = this.groups.get(key) ?? { changed: false, unchanged: [] };
    this.groups.set(key, group);
    if (unchanged) group.unchanged.push(path);
    else group.changed = true;
    return true;
  }
}
