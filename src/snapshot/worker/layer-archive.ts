import fs from "node:fs";
import type { TarHeader } from "../../tar/index.js";
import type { Tree } from "../tree.js";
import { type BytePath, fromText, join } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { TarBlocks } from "./layer-blocks.js";
import { headerOf, wholeSeconds } from "./layer-header.js";
import { list, type StackDir, type StackEntry, stackOf } from "./layer-stack.js";
import { inodeKey } from "./layer-stat.js";
import { xattrsOf } from "./layer-xattrs.js";
import { selectedDirectory } from "./selected.js";

/** Whole file systems to write as one tar archive. */
export interface TarTreeArgs {
  readonly parts: readonly TarTreePart[];
  /** Absolute path of the file to write, or the number of an open file. */
  readonly output: string | number;
  /** The time (seconds since the epoch) that everything gets. */
  readonly epochSeconds?: number | undefined;
}

/** A tree and where it stands in the archive. */
export interface TarTreePart {
  readonly tree: Tree;
  /** A directory of the tree, of a single layer, to write in place of all, as a mount selects one; what is no directory is all of it. */
  readonly selector?: string | undefined;
  /** A directory of the archive, as text without slashes (`linux_arm64`); the root where absent. */
  readonly directory?: { readonly name: string; readonly mtimeSeconds: number } | undefined;
  /** More files for the part's root, after the tree's own. */
  readonly files?:
    | readonly { readonly name: string; readonly content: Uint8Array; readonly mtimeSeconds: number }[]
    | undefined;
}

/** Writes trees as an archive with owners, times (to the nearest second), links and all extended attributes. Gives its size. */
export const tarTree: Job<TarTreeArgs, { readonly sizeBytes: number }> = ({ parts, output, epochSeconds }, context) => {
  const fd = typeof output === "number" ? output : fs.openSync(output, "w", 0o644);
  try {
    let sizeBytes = 0;
    const archive = new Archive(epochSeconds === undefined ? undefined : wholeSeconds(epochSeconds), context);
    for (const block of archive.write(parts)) {
      context.checkCanceled();
      // A pipe has no positions.
      for (let at = 0; at < block.length; ) at += fs.writeSync(fd, block, at);
      sizeBytes += block.length;
      context.report({ current: sizeBytes, unit: "bytes" });
    }
    return { sizeBytes };
  } finally {
    if (typeof output !== "number") fs.closeSync(fd);
  }
};

const SECOND_NS = 1_000_000_000n;

class Archive {
  readonly #blocks = new TarBlocks();
  readonly #epochNs: bigint | undefined;
  readonly #context: JobContext;
  readonly #firstNames = new Map<string, BytePath>();

  constructor(epochNs: bigint | undefined, context: JobContext) {
    this.#epochNs = epochNs;
    this.#context = context;
  }

  *write(parts: readonly TarTreePart[]): Generator<Buffer> {
    for (const part of parts) {
      const { directory } = part;
      const prefix = directory ? `${fromText(directory.name)}/` : "";
      if (directory)
        yield* this.#blocks.header({
          name: prefix,
          type: "directory",
          mode: 0o755,
          ...this.#time(directory.mtimeSeconds),
        });
      // Links don't reach from one part to another: each can be unpacked alone.
      this.#firstNames.clear();
      yield* this.#visit(rootOf(part), prefix);
      for (const file of part.files ?? []) {
        const header: TarHeader = {
          name: prefix + fromText(file.name),
          type: "file",
          mode: 0o644,
          ...this.#time(file.mtimeSeconds),
        };
        yield* this.#blocks.content(header, file.content);
      }
    }
    yield* this.#blocks.end();
  }

  *#visit(directory: StackDir, prefix: BytePath): Generator<Buffer> {
    this.#context.checkCanceled();
    for (const [name, entry] of list(directory)) {
      if (entry.stat.kind === "socket") continue;
      const at = join(prefix, name);
      yield* this.#entry(at, entry);
      if (entry.dir) yield* this.#visit(entry.dir, `${at}/`);
    }
  }

  *#entry(at: BytePath, { path, stat }: StackEntry): Generator<Buffer> {
    const xattrs = xattrsOf(path);
    const mtimeNs = this.#epochNs ?? roundedToSecond(stat.mtimeNs);
    const header: TarHeader = { ...headerOf(at, path, stat), mtimeNs, xattrs };
    const key = stat.nlink > 1 && stat.kind !== "directory" ? inodeKey(stat) : undefined;
    const first = key === undefined ? undefined : this.#firstNames.get(key);
    if (first !== undefined) {
      yield* this.#blocks.header({ ...header, type: "link", size: 0, linkName: first });
      return;
    }
    if (key !== undefined) this.#firstNames.set(key, at);
    if (stat.kind === "file") yield* this.#blocks.file(header, path);
    else yield* this.#blocks.header(header);
  }

  #time(seconds: number): { readonly mtimeNs: bigint } {
    return { mtimeNs: this.#epochNs ?? wholeSeconds(seconds) };
  }
}

function rootOf({ tree, selector = "" }: TarTreePart): StackDir {
  const whole = stackOf(tree);
  const [layer] = tree;
  const selected = layer === undefined || tree.length > 1 ? undefined : selectedDirectory(layer, selector);
  return selected === undefined ? whole : { parts: [selected] };
}

function roundedToSecond(ns: bigint): bigint {
  const shifted = ns + SECOND_NS / 2n;
  return shifted - (((shifted % SECOND_NS) + SECOND_NS) % SECOND_NS);
}
