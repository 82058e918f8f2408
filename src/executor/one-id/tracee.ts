import fs from "node:fs";
import { changeDirectory, chrootHere } from "../../base/index.js";

const AT_FDCWD = -100;
const PATH_MAX_BYTES = 4096;
/** Most paths are shorter; a divisor of a page. */
const PIECE_BYTES = 256;
const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;

/** A file that a call names: below a directory that stands for it, or, without a name, an open file. */
export interface FileName {
  /** A descriptor of the caller's, or AT_FDCWD. */
  readonly dirfd: number;
  /** As bytes, one per character; "" means the descriptor itself. */
  readonly path: string;
}

/** The address of a name, and the descriptor it is relative to. */
export function directoryOf(argument: bigint): number {
  return Number(BigInt.asIntN(32, argument));
}

export const HERE = AT_FDCWD;

/** A thread that waits for the answer to a call: its memory, and the files it names as it sees them. Errors are Node's. */
export class Tracee {
  readonly tid: number;
  #memory: number | undefined;

  constructor(tid: number) {
    this.tid = tid;
  }

  read(address: bigint, bytes: number): Buffer {
    const data = Buffer.alloc(bytes);
    const read = fs.readSync(this.#mem(), data, 0, bytes, address);
    return data.subarray(0, read);
  }

  /** A text that ends with a zero byte, read in pieces of pages: the page behind its own may not be there. */
  readText(address: bigint): string {
    let text = "";
    for (let at = address; text.length < PATH_MAX_BYTES; ) {
      const rest = PIECE_BYTES - Number(at % BigInt(PIECE_BYTES));
      const part = this.read(at, rest).toString("latin1");
      const end = part.indexOf("\0");
      if (end >= 0) return text + part.slice(0, end);
      text += part;
      at += BigInt(rest);
    }
    throw Object.assign(new Error("a path without an end"), { code: "ENAMETOOLONG" });
  }

  write(address: bigint, data: Buffer): void {
    fs.writeSync(this.#mem(), data, 0, data.length, Number(address));
  }

  /** What proc(5) says of the thread, by name. */
  status(field: string): string | undefined {
    return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(fs.readFileSync(`/proc/${this.tid}/status`, "latin1"))?.[1];
  }

  /** Where NAME begins: the caller's root, and the directory or open file; to be closed. */
  place({ dirfd }: Pick<FileName, "dirfd">): Place {
    const root = fs.openSync(`/proc/${this.tid}/root`, O_PATH | O_DIRECTORY);
    try {
      const base = dirfd === AT_FDCWD ? "cwd" : `fd/${dirfd}`;
      return new Place(this.tid, root, fs.openSync(`/proc/${this.tid}/${base}`, O_PATH));
    } catch (error) {
      fs.closeSync(root);
      throw error;
    }
  }

  close(): void {
    if (this.#memory !== undefined) fs.closeSync(this.#memory);
  }

  #mem(): number {
    this.#memory ??= fs.openSync(`/proc/${this.tid}/mem`, "r+");
    return this.#memory;
  }
}

/** Where a thread's names are resolved. This thread's root and cwd must be its own (CLONE_FS unshared). */
export class Place implements Disposable {
  readonly #tid: number;
  readonly #root: number;
  /** The file itself, where a name is empty. */
  readonly base: number;

  constructor(tid: number, root: number, base: number) {
    this.#tid = tid;
    this.#root = root;
    this.base = base;
  }

  /** Opens what PATH means there, itself or what a link leads to, without looking into it (O_PATH). The caller closes it. */
  open(path: string, follow: boolean): number {
    const own = OWN_FILE.exec(path)?.[1];
    if (own !== undefined && follow) return fs.openSync(`/proc/${this.#tid}/${own}`, O_PATH);
    return this.inside(() => fs.openSync(bytes(path), O_PATH | (follow ? 0 : O_NOFOLLOW)));
  }

  /** Does WORK with the thread's root as "/" and the base as cwd. Nothing asynchronous may be started inside. */
  inside<T>(work: () => T): T {
    changeDirectory(this.#root);
    chrootHere();
    try {
      changeDirectory(this.base);
      return work();
    } finally {
      changeDirectory(Place.#outside());
      chrootHere();
    }
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.base);
    fs.closeSync(this.#root);
  }

  static #host: number | undefined;

  static #outside(): number {
    if (Place.#host === undefined) throw new Error("this thread has not settled");
    return Place.#host;
  }

  /** To be called once, on a thread whose root is its own and the host's. */
  static settle(): void {
    Place.#host = fs.openSync("/", O_RDONLY | O_DIRECTORY);
  }
}

/** Links of a process's to files of its own: by this name they would be the supervisor's. */
const OWN_FILE = /^\/proc\/(?:thread-)?self\/(exe|cwd|root|fd\/\d+)$/;

/** A path as Node's file calls take it. */
export function bytes(path: string): Buffer {
  return Buffer.from(path, "latin1");
}
