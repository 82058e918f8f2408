import { createHash } from "node:crypto";
import fs from "node:fs";
import { type Digest, digestFromHex } from "../../base/index.js";
import type { Tree } from "../tree.js";
import { type BytePath, join, toBuffer, toText } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { list, type StackDir, stackOf } from "./layer-stack.js";

/** Which files of a tree are looked into, and what is wanted of them. */
export interface SurveyArgs {
  readonly tree: Tree;
  /** Gives the content of files whose path (`var/lib/dpkg/status`) one of these regular expressions matches. */
  readonly contents?: readonly string[] | undefined;
  /** Gives the digest of every regular file. */
  readonly digests?: boolean | undefined;
}

/** What was found, in byte order within each directory. */
export interface Survey {
  readonly contents: readonly SurveyedFile[];
  readonly digests: readonly { readonly path: string; readonly digest: Digest }[];
  /** Files whose content was wanted, but there was too much of it. */
  readonly leftOut: readonly string[];
}

export interface SurveyedFile {
  readonly path: string;
  readonly content: Uint8Array;
  /** The place in the tree of the layer that it is from. */
  readonly layer: number;
}

/** A larger file isn't given, nor what comes when so much is. Bytes. */
const FILE_BYTES_MAX = 64 << 20;
const TOTAL_BYTES_MAX = 256 << 20;
const READ_BYTES = 1 << 20;

/** Looks at the regular files of a tree without mounting it; no link is followed. */
export const surveyTree: Job<SurveyArgs, Survey> = (args, context) => {
  const { contents, digests, leftOut } = new Surveyor(args, context).visit(stackOf(args.tree), "");
  return { contents, digests, leftOut };
};

class Surveyor implements Survey {
  readonly contents: SurveyedFile[] = [];
  readonly digests: { path: string; digest: Digest }[] = [];
  readonly leftOut: string[] = [];
  readonly #wanted: readonly RegExp[];
  readonly #digests: boolean;
  readonly #places: ReadonlyMap<string, number>;
  readonly #context: JobContext;
  #bytes = 0;

  constructor({ tree, contents = [], digests = false }: SurveyArgs, context: JobContext) {
    this.#wanted = contents.map((pattern) => new RegExp(pattern));
    this.#digests = digests;
    this.#places = new Map(tree.map((layer, i) => [String(layer), i]));
    this.#context = context;
  }

  visit(directory: StackDir, prefix: BytePath): Survey {
    this.#context.checkCanceled();
    for (const [name, { path, stat, dir }] of list(directory)) {
      const at = join(prefix, name);
      if (dir) this.visit(dir, at);
      else if (stat.kind === "file") this.#file(toText(at), path, stat.sizeBytes);
    }
    return this;
  }

  #file(at: string, path: BytePath, size: number): void {
    if (this.#digests) this.digests.push({ path: at, digest: this.#digestOf(path) });
    if (!this.#wanted.some((pattern) => pattern.test(at))) return;
    if (size > FILE_BYTES_MAX || this.#bytes + size > TOTAL_BYTES_MAX) {
      this.leftOut.push(at);
      return;
    }
    const content = this.#read(path);
    this.#bytes += content.length;
    this.contents.push({ path: at, content, layer: this.#places.get(path.split("/", 1)[0] ?? "") ?? 0 });
  }

  #read(path: BytePath): Uint8Array {
    const fd = this.#open(path);
    try {
      return new Uint8Array(fs.readFileSync(fd));
    } finally {
      fs.closeSync(fd);
    }
  }

  #digestOf(path: BytePath): Digest {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const fd = this.#open(path);
    try {
      for (let n = fs.readSync(fd, buffer); n > 0; n = fs.readSync(fd, buffer)) {
        this.#context.checkCanceled();
        hash.update(buffer.subarray(0, n));
      }
    } finally {
      fs.closeSync(fd);
    }
    return digestFromHex(hash.digest("hex"));
  }

  #open(path: BytePath): number {
    return fs.openSync(toBuffer(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  }
}
