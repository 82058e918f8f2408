import fs from "node:fs";
import path from "node:path";
import { EngineError } from "../../base/index.js";
import type { Tree } from "../tree.js";
import { type BytePath, fromText, join, toBuffer } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { applyMetadata, copyContent, type FileMetadata, metadataOf } from "./layer-copy.js";
import { wholeSeconds } from "./layer-header.js";
import { list, type StackDir, type StackEntry, stackOf } from "./layer-stack.js";
import { inodeKey, namesIn, statOf } from "./layer-stat.js";
import { removeTree } from "./remove.js";

/** A tree to copy into a directory of the caller's. */
export interface ExportTreeArgs {
  readonly tree: Tree;
  /** Absolute path; made with what is above it where it is missing. */
  readonly target: string;
  /** Who owns the copies. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** The time (seconds since the epoch) that everything gets. */
  readonly epochSeconds?: number | undefined;
  /** Whether files that the tree has not stay or go. */
  readonly existing: "keep" | "delete";
}

/**
 * Copies a tree over a directory: modes, times, links and attributes are kept, owners are the caller's. Existing directories are added
 * to, anything else that is in the way is replaced; links in the directory are not followed.
 */
export const exportTree: Job<ExportTreeArgs, void> = (args, context) => {
  if (!path.isAbsolute(args.target)) throw new EngineError("internal", `not an absolute path: ${args.target}`);
  fs.mkdirSync(args.target, { recursive: true, mode: 0o755 });
  new Checkout(args, context).fill(stackOf(args.tree), fromText(fs.realpathSync(args.target)));
};

class Checkout {
  readonly #args: ExportTreeArgs;
  readonly #context: JobContext;
  readonly #copies = new Map<string, BytePath>();
  #bytes = 0;

  constructor(args: ExportTreeArgs, context: JobContext) {
    this.#args = args;
    this.#context = context;
  }

  /** Copies what is in DIRECTORY into the real directory INTO. */
  fill(directory: StackDir, into: BytePath): void {
    this.#context.checkCanceled();
    const entries = list(directory);
    if (this.#args.existing === "delete") {
      for (const name of namesIn(into)) if (!entries.has(name)) this.#remove(join(into, name));
    }
    for (const [name, entry] of entries) {
      if (entry.stat.kind !== "socket") this.#put(entry, join(into, name));
    }
  }

  #put(entry: StackEntry, target: BytePath): void {
    const existing = statOf(target);
    if (entry.dir) {
      const merged = existing?.kind === "directory";
      if (existing && !merged) this.#remove(target);
      // A directory that was there gets its metadata first: filling it then shows in its time, as with any other writer.
      if (merged) applyMetadata(target, this.#metadata(entry));
      else fs.mkdirSync(toBuffer(target), 0o700);
      this.fill(entry.dir, target);
      if (!merged) applyMetadata(target, this.#metadata(entry));
      return;
    }
    if (existing) this.#remove(target);
    const key = entry.stat.nlink > 1 ? inodeKey(entry.stat) : undefined;
    const copy = key === undefined ? undefined : this.#copies.get(key);
    if (copy !== undefined) {
      fs.linkSync(toBuffer(copy), toBuffer(target));
      return;
    }
    copyContent(entry, target, (more) => this.#progress(more));
    applyMetadata(target, this.#metadata(entry));
    if (key !== undefined) this.#copies.set(key, target);
  }

  #metadata(entry: StackEntry): FileMetadata {
    const { stat, xattrs } = metadataOf(entry);
    const { owner, epochSeconds } = this.#args;
    const mtimeNs = epochSeconds === undefined ? stat.mtimeNs : wholeSeconds(epochSeconds);
    return { stat: { ...stat, ...owner, mtimeNs }, xattrs };
  }

  #progress(more: number): void {
    this.#bytes += more;
    this.#context.checkCanceled();
    this.#context.report({ current: this.#bytes, unit: "bytes" });
  }

  #remove(target: BytePath): void {
    removeTree(target, () => this.#context.checkCanceled());
  }
}
