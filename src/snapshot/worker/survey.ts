import { createHash } from "node:crypto";
import fs from "node:fs";
import { type Digest, digestFromHex } from "../../base/index.js";
import type { Tree } from "../tree.js";
import { type BytePath, join, toBuffer, toText } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { readGoBuildInfo } from "./go-build-info.js";
import { list, type StackDir, stackOf } from "./layer-stack.js";
import type { FileStat } from "./layer-stat.js";

/** Which files of a tree are looked into, and what is wanted of them. */
export interface SurveyArgs {
  readonly tree: Tree;
  /** Gives the content of files whose path (`var/lib/dpkg/status`) one of these regular expressions matches. */
  readonly contents?: readonly string[] | undefined;
  /** Gives the digest of every regular file. */
  readonly digests?: boolean | undefined;
  /** Gives what Go's programs say they were made of. */
  readonly programs?: boolean | undefined;
  /** Gives the path of everything that is no directory. */
  readonly paths?: boolean | undefined;
}

/** What was found, in byte order within each directory. */
export interface Survey {
  readonly contents: readonly SurveyedFile[];
  readonly digests: readonly { readonly path: string; readonly digest: Digest }[];
  readonly programs: readonly SurveyedProgram[];
  readonly paths: readonly string[];
  /** Files whose content was wanted, but there was too much of it. */
  readonly leftOut: readonly string[];
}

export interface SurveyedFile {
  readonly path: string;
  readonly content: Uint8Array;
  /** The place in the tree of the layer that it is from. */
  readonly layer: number;
}

/** A program of Go's. */
export interface SurveyedProgram extends Omit<SurveyedFile, "content"> {
  readonly buildInfo: Uint8Array;
  /** Of the program; SHA-1 in hexadecimal digits, for who asks for that. */
  readonly digest: Digest;
  readonly sha1: string;
}

/** A larger file isn't given, nor what comes when so much is. Bytes. */
const FILE_BYTES_MAX = 64 << 20;
const TOTAL_BYTES_MAX = 256 << 20;
const READ_BYTES = 1 << 20;
const EXECUTABLE = 0o111;

/** Looks at the regular files of a tree without mounting it; no link is followed. */
export const surveyTree: Job<SurveyArgs, Survey> = (args, context) => {
  const { contents, digests, programs, paths, leftOut } = new Surveyor(args, context).visit(stackOf(args.tree), "");
  return { contents, digests, programs, paths, leftOut };
};

class Surveyor implements Survey {
  readonly contents: SurveyedFile[] = [];
  readonly digests: { path: string; digest: Digest }[] = [];
  readonly programs: SurveyedProgram[] = [];
  readonly paths: string[] = [];
  readonly leftOut: string[] = [];
  readonly #wanted: readonly RegExp[];
  readonly #digests: boolean;
  readonly #programs: boolean;
  readonly #paths: boolean;
  readonly #places: ReadonlyMap<string, number>;
  readonly #context: JobContext;
  #bytes = 0;

  constructor(
    { tree, contents = [], digests = false, programs = false, paths = false }: SurveyArgs,
    context: JobContext,
  ) {
    this.#wanted = contents.map((pattern) => new RegExp(pattern));
    this.#digests = digests;
    this.#programs = programs;
    this.#paths = paths;
    this.#places = new Map(tree.map((layer, i) => [String(layer), i]));
    this.#context = context;
  }

  visit(directory: StackDir, prefix: BytePath): Survey {
    this.#context.checkCanceled();
    for (const [name, { path, stat, dir }] of list(directory)) {
      const at = join(prefix, name);
      if (this.#paths && !dir) this.paths.push(toText(at));
      if (dir) this.visit(dir, at);
      else if (stat.kind === "file") this.#file(toText(at), path, stat);
    }
    return this;
  }

  #file(at: string, path: BytePath, { sizeBytes: size, mode }: FileStat): void {
    if (this.#programs && (mode & EXECUTABLE) !== 0) this.#program(at, path);
    if (this.#digests) this.digests.push({ path: at, digest: digestFromHex(this.#hashOf(path, "sha256")) });
    if (!this.#wanted.some((pattern) => pattern.test(at))) return;
    if (size > FILE_BYTES_MAX || this.#bytes + size > TOTAL_BYTES_MAX) {
      this.leftOut.push(at);
      return;
    }
    const content = this.#read(path);
    this.#bytes += content.length;
    this.contents.push({ path: at, content, layer: this.#layerOf(path) });
  }

  #program(at: string, path: BytePath): void {
    const fd = this.#open(path);
    try {
      const buildInfo = readGoBuildInfo(fd);
      if (buildInfo === undefined || this.#bytes + buildInfo.length > TOTAL_BYTES_MAX) return;
      this.#bytes += buildInfo.length;
      const layer = this.#layerOf(path);
      const digests = { digest: digestFromHex(this.#hashOf(path, "sha256")), sha1: this.#hashOf(path, "sha1") };
      this.programs.push({ path: at, layer, buildInfo: new Uint8Array(buildInfo), ...digests });
    } finally {
      fs.closeSync(fd);
    }
  }

  #layerOf(path: BytePath): number {
    return this.#places.get(path.split("/", 1)[0] ?? "") ?? 0;
  }

  #read(path: BytePath): Uint8Array {
    const fd = this.#open(path);
    try {
      return new Uint8Array(fs.readFileSync(fd));
    } finally {
      fs.closeSync(fd);
    }
  }

  #hashOf(path: BytePath, algorithm: "sha256" | "sha1"): string {
    const hash = createHash(algorithm);
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
    return hash.digest("hex");
  }

  #open(path: BytePath): number {
    return fs.openSync(toBuffer(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  }
}
