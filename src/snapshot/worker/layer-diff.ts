import fs from "node:fs";
import { setTimes, systemCode } from "../../base/index.js";
import type { LayerId, Tree } from "../tree.js";
import { type BytePath, join, toBuffer } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { isUnchanged } from "./layer-compare.js";
import { applyMetadata, copyContent, metadataOf } from "./layer-copy.js";
import { type LayerSummary, measure } from "./layer-measure.js";
import { list, lookUpPath, NOTHING, type StackDir, type StackEntry, stackOf } from "./layer-stack.js";
import { inodeKey, statOf } from "./layer-stat.js";
import { writeUnchangedNames } from "./layer-unchanged.js";
import { makeWhiteout } from "./layer-whiteout.js";

/** Two trees, and the layer that becomes their difference: on top of LOWER it gives UPPER. */
export interface DiffArgs {
  readonly lower: Tree;
  readonly upper: Tree;
  readonly layer: LayerId;
}

/** Computes the difference of two trees into the layer's (empty) directory. Files are shared with the upper tree's layers where possible. */
export const diffTrees: Job<DiffArgs, LayerSummary> = ({ lower, upper, layer }, context) => {
  const target = `${layer}/fs`;
  fs.mkdirSync(target, { recursive: true, mode: 0o755 });
  const unchanged = diffInto({ lower: stackOf(lower), upper: stackOf(upper), target }, context);
  writeUnchangedNames(layer, unchanged);
  return measure(target, context);
};

/** What to compare, and where the difference goes. */
export interface DiffRequest {
  readonly lower: StackDir;
  readonly upper: StackDir;
  /** A real, empty directory. */
  readonly target: BytePath;
  /** Whether the upper file at PATH (relative) is known to be what it was, without looking at it. */
  readonly isUntouched?: (path: BytePath, entry: StackEntry) => boolean;
}

/**
 * Writes the difference as an upper directory without opaque marks. Gives the names that are in it only because they are linked to a
 * changed one.
 */
export function diffInto(request: DiffRequest, context: JobContext): BytePath[] {
  const differ = new Differ(request, context);
  differ.visit({ path: "", made: true, parent: undefined, entry: undefined }, request.lower, request.upper);
  const kept = differ.placeSiblings();
  const [top] = request.upper.parts;
  const root = top === undefined ? undefined : statOf(top);
  if (top !== undefined && root) applyMetadata(request.target, metadataOf({ path: top, stat: root }));
  return kept;
}

/** A directory of the difference: made only once something stands in it. */
interface Frame {
  readonly path: BytePath;
  made: boolean;
  readonly parent: Frame | undefined;
  readonly entry: StackEntry | undefined;
}

class Differ {
  readonly #request: DiffRequest;
  readonly #context: JobContext;
  /** Where each file with several names was placed first. */
  readonly #placed = new Map<string, BytePath>();
  /** Unchanged names of files with several names. */
  readonly #siblings = new Map<string, BytePath[]>();

  constructor(request: DiffRequest, context: JobContext) {
    this.#request = request;
    this.#context = context;
  }

  visit(frame: Frame, lower: StackDir, upper: StackDir): void {
    this.#context.checkCanceled();
    if (sameParts(lower, upper)) return;
    const before = list(lower);
    const after = list(upper);
    for (const [name, entry] of after) {
      const path = frame.path === "" ? name : join(frame.path, name);
      if (entry.dir) this.#visitDirectory({ path, made: false, parent: frame, entry }, before.get(name));
      else this.#visitFile(frame, { path, entry }, before.get(name));
    }
    for (const name of before.keys()) {
      if (after.has(name)) continue;
      this.#make(frame);
      makeWhiteout(join(this.#at(frame.path), name));
    }
  }

  /** Places the unchanged names of files that are in the difference under another name. */
  placeSiblings(): BytePath[] {
    const kept: BytePath[] = [];
    for (const [key, source] of this.#placed) {
      for (const path of this.#siblings.get(key) ?? []) {
        const parent = this.#ensureParent(path);
        const before = statOf(parent);
        fs.linkSync(toBuffer(source), toBuffer(this.#at(path)));
        if (before) setTimes(toBuffer(parent), before.mtimeNs, before.mtimeNs);
        kept.push(path);
      }
    }
    return kept;
  }

  #visitDirectory(frame: Frame, before: StackEntry | undefined): void {
    const { entry } = frame;
    if (!entry?.dir) return;
    if (!before?.dir || !this.#isUnchanged(frame.path, before, entry)) this.#make(frame);
    this.visit(frame, before?.dir ?? NOTHING, entry.dir);
    // Its time is set last: what was put into it changed that.
    if (frame.made) applyMetadata(this.#at(frame.path), metadataOf(entry));
  }

  #visitFile(
    frame: Frame,
    { path, entry }: { path: BytePath; entry: StackEntry },
    before: StackEntry | undefined,
  ): void {
    if (entry.stat.kind === "socket") return;
    if (before && this.#isUnchanged(path, before, entry)) {
      if (entry.stat.nlink > 1) {
        const key = inodeKey(entry.stat);
        this.#siblings.set(key, [...(this.#siblings.get(key) ?? []), path]);
      }
      return;
    }
    this.#make(frame);
    this.#place(entry, this.#at(path));
  }

  #isUnchanged(path: BytePath, before: StackEntry, after: StackEntry): boolean {
    if (before.path === after.path || this.#request.isUntouched?.(path, after)) return true;
    return isUnchanged(before, after);
  }

  #place(entry: StackEntry, target: BytePath): void {
    const key = entry.stat.nlink > 1 ? inodeKey(entry.stat) : undefined;
    placeFile(entry, target, key === undefined ? undefined : this.#placed.get(key));
    if (key !== undefined && !this.#placed.has(key)) this.#placed.set(key, target);
  }

  #make(frame: Frame): void {
    if (frame.made) return;
    if (frame.parent) this.#make(frame.parent);
    fs.mkdirSync(toBuffer(this.#at(frame.path)));
    frame.made = true;
  }

  #at(path: BytePath): BytePath {
    return path === "" ? this.#request.target : join(this.#request.target, path);
  }

  #ensureParent(path: BytePath): BytePath {
    const slash = path.lastIndexOf("/");
    if (slash < 0) return this.#request.target;
    const parent = path.slice(0, slash);
    const target = this.#at(parent);
    if (statOf(target)) return target;
    const above = this.#ensureParent(parent);
    const before = statOf(above);
    fs.mkdirSync(toBuffer(target));
    const entry = lookUpPath(this.#request.upper, parent);
    if (entry) applyMetadata(target, metadataOf(entry));
    if (before) setTimes(toBuffer(above), before.mtimeNs, before.mtimeNs);
    return target;
  }
}

/**
 * Puts a committed (never again changed) file at TARGET: as another name of the same file, or, where the file system does not let us,
 * as a copy, linked to COPY where there is one already.
 */
export function placeFile(entry: StackEntry, target: BytePath, copy: BytePath | undefined): void {
  try {
    fs.linkSync(toBuffer(entry.path), toBuffer(target));
  } catch (error) {
    if (!CANNOT_LINK.has(systemCode(error) ?? "")) throw error;
    if (copy === undefined) {
      copyContent(entry, target, () => {});
      applyMetadata(target, metadataOf(entry));
    } else fs.linkSync(toBuffer(copy), toBuffer(target));
  }
}

const CANNOT_LINK = new Set(["EMLINK", "EXDEV", "EPERM"]);

function sameParts(a: StackDir, b: StackDir): boolean {
  return a.parts.length === b.parts.length && a.parts.every((part, i) => part === b.parts[i]);
}
