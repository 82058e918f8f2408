import { EngineError } from "../base/index.js";
import { FIELD } from "./block.js";
import { paddingOf } from "./encode.js";
import type { TarEntry, TarPath } from "./entry.js";
import { interpret, isMeta, type Meta, readMeta } from "./interpret.js";
import { BLOCK_BYTES, ENTRIES_MAX, META_MAX_BYTES, SPARSE_PIECES_MAX } from "./limits.js";
import { number, type RawHeader, readHeader } from "./read-header.js";
import { type Piece, piecesOf, SparseMapReader } from "./sparse.js";

/** Who is told what an archive holds, in its order and synchronously. What it throws ends the parsing. */
export interface TarHandler {
  /** A new entry; for a file, BODY and HOLE calls for all of its bytes follow, then ENTRY_END. */
  entry(entry: TarEntry): void;
  /** The next bytes of the file; they are valid only during the call. */
  body(chunk: Uint8Array): void;
  /** The next BYTES of a sparse file are zeros. */
  hole(bytes: number): void;
  /** The entry is complete. */
  entryEnd(): void;
}

/** Reads an archive that is pushed in chunks of any size. Truncated or corrupt input throws `invalid` and says where. */
export interface TarParser {
  write(chunk: Uint8Array): void;
  /** Says that there is no more. */
  end(): void;
}

/**
 * Reads ustar, PAX, GNU, star and v7 archives, sparse files expanded. Records of a global PAX header are checked but apply to nothing,
 * as with Go's archive/tar. What follows the two blocks of zeros at the end is ignored.
 */
export function createTarParser(handler: TarHandler): TarParser {
  return new Parser(handler);
}

type State =
  | { readonly kind: "gather"; readonly buffer: Buffer; filled: number; readonly done: (buffer: Buffer) => void }
  | { readonly kind: "body"; left: number; readonly deliver: (chunk: Uint8Array) => void }
  | { readonly kind: "ended" };

class Parser implements TarParser {
  readonly #handler: TarHandler;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #state: State;
  #offset = 0;
  #entries = 0;
  #zeroBlocks = 0;
  #last: TarPath | undefined;
  #meta: Meta = {};

  constructor(handler: TarHandler) {
    this.#handler = handler;
    this.#state = this.#header();
  }

  write(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const state = this.#state;
      if (state.kind === "ended") return;
      const left = state.kind === "gather" ? state.buffer.length - state.filled : state.left;
      const piece = chunk.subarray(at, at + left);
      at += piece.length;
      this.#offset += piece.length;
      if (state.kind === "gather") {
        state.buffer.set(piece, state.filled);
        state.filled += piece.length;
        if (piece.length === left) state.done(state.buffer);
      } else {
        state.left -= piece.length;
        state.deliver(piece);
        if (state.left === 0) this.#afterBody();
      }
    }
  }

  end(): void {
    const state = this.#state;
    if (state.kind === "ended") return;
    const between = state.kind === "gather" && state.filled === 0 && state.buffer === this.#block && !this.#meta.seen;
    if (!between) throw this.#bad("it is cut off");
    this.#state = { kind: "ended" };
  }

  #header(): State {
    return { kind: "gather", buffer: this.#block, filled: 0, done: (block) => this.#onHeader(block) };
  }

  #afterBody(): void {
    this.#handler.entryEnd();
    this.#state = this.#header();
  }

  #onHeader(block: Buffer): void {
    if (block.equals(ZERO_BLOCK)) {
      this.#zeroBlocks++;
      if (this.#meta.seen) throw this.#bad("a header for an entry is followed by none");
      this.#state = this.#zeroBlocks === 2 ? { kind: "ended" } : this.#header();
      return;
    }
    if (this.#zeroBlocks > 0) throw this.#bad("data follow a block of zeros");
    const raw = readHeader(block);
    if (typeof raw === "string") throw this.#bad(raw);
    if (++this.#entries > ENTRIES_MAX) throw this.#bad(`it has more than ${ENTRIES_MAX} entries`);
    if (isMeta(raw.flag)) this.#onMeta(raw);
    else this.#onEntry(raw, block);
  }

  #onMeta(raw: RawHeader): void {
    if (raw.size > META_MAX_BYTES) throw this.#bad(`a header of ${raw.size} bytes; the limit is ${META_MAX_BYTES}`);
    const padded = raw.size + paddingOf(raw.size);
    const done = (data: Buffer) => {
      const problem = readMeta(this.#meta, raw.flag, data.subarray(0, raw.size));
      if (problem !== undefined) throw this.#bad(problem);
      this.#state = this.#header();
    };
    if (padded === 0) done(Buffer.alloc(0));
    else this.#state = { kind: "gather", buffer: Buffer.alloc(padded), filled: 0, done };
  }

  #onEntry(raw: RawHeader, block: Buffer): void {
    const meta = this.#meta;
    this.#meta = {};
    const result = interpret(raw, meta);
    if (typeof result === "string") throw this.#bad(result);
    const { entry, stored, sparse } = result;
    this.#last = entry.name;
    if (raw.flag === GNU_SPARSE_FLAG) {
      this.#onGnuSparse(entry, stored, Buffer.from(block));
    } else if (sparse === undefined) {
      this.#handler.entry(entry);
      this.#body(stored, (chunk) => this.#handler.body(chunk));
    } else if (sparse.kind === "pieces") {
      this.#sparseBody({ ...entry, size: sparse.size }, stored, sparse.pieces);
    } else {
      this.#gatherMap({ ...entry, size: sparse.size }, stored, new SparseMapReader());
    }
  }

  /** The old GNU form: four pieces in the header, then blocks of 21 while there are more. */
  #onGnuSparse(entry: TarEntry, stored: number, block: Buffer): void {
    const size = number(block, FIELD.gnuRealSize);
    if (!Number.isSafeInteger(size) || size < 0) throw this.#bad("its size is no number");
    const numbers: number[] = [];
    const more = (from: Buffer, [start, length]: readonly [number, number], extended: number): void => {
      for (let at = start; at + 24 <= start + length && from[at] !== 0; at += 24) {
        numbers.push(number(from, [at, 12]), number(from, [at + 12, 12]));
      }
      if (numbers.length > 2 * SPARSE_PIECES_MAX)
        throw this.#bad(`more than ${SPARSE_PIECES_MAX} pieces in a sparse file`);
      if (from[extended] !== 0 && from[extended] !== ASCII_ZERO) {
        const done = (next: Buffer) => more(next, GNU_EXTENSION, GNU_EXTENSION_MORE);
        this.#state = { kind: "gather", buffer: Buffer.alloc(BLOCK_BYTES), filled: 0, done };
        return;
      }
      const pieces = piecesOf(numbers, size);
      if (!pieces) throw this.#bad("its map of holes makes no sense");
      this.#sparseBody({ ...entry, size }, stored, pieces);
    };
    more(block, FIELD.gnuSparse, FIELD.gnuSparseExtended[0]);
  }

  /** The map of a PAX 1.0 sparse file: read block by block until it is complete. LEFT bytes are stored behind what was read. */
  #gatherMap(entry: TarEntry, left: number, map: SparseMapReader): void {
    if (left <= 0) throw this.#bad("its map of holes is cut off");
    const done = (block: Buffer) => {
      const numbers = map.push(block.toString("latin1"));
      const rest = Math.max(0, left - BLOCK_BYTES);
      if (numbers === "incomplete") {
        this.#gatherMap(entry, rest, map);
        return;
      }
      const pieces = numbers === "malformed" ? undefined : piecesOf(numbers, entry.size);
      if (!pieces) throw this.#bad("its map of holes makes no sense");
      this.#sparseBody(entry, rest, pieces);
    };
    this.#state = { kind: "gather", buffer: Buffer.alloc(BLOCK_BYTES), filled: 0, done };
  }

  #sparseBody(entry: TarEntry, stored: number, pieces: readonly Piece[]): void {
    const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (total !== stored) throw this.#bad(`its map tells of ${total} bytes, but there are ${stored}`);
    this.#handler.entry(entry);
    let index = 0;
    let inPiece = 0;
    let position = 0;
    const holeTo = (offset: number) => {
      if (offset > position) this.#handler.hole(offset - position);
      position = Math.max(position, offset);
    };
    const deliver = (chunk: Uint8Array) => {
      for (let at = 0; at < chunk.length; ) {
        const piece = pieces[index];
        if (!piece) return;
        if (inPiece === 0) holeTo(piece.offset);
        const part = chunk.subarray(at, at + piece.length - inPiece);
        this.#handler.body(part);
        at += part.length;
        inPiece += part.length;
        position += part.length;
        if (inPiece === piece.length) {
          index++;
          inPiece = 0;
        }
      }
      if (index === pieces.length) holeTo(entry.size);
    };
    if (stored === 0) holeTo(entry.size);
    this.#body(stored, deliver);
  }

  /** The body of STORED bytes, then its padding. */
  #body(stored: number, deliver: (chunk: Uint8Array) => void): void {
    if (stored === 0) {
      this.#handler.entryEnd();
      this.#state = this.#header();
      return;
    }
    const padding = paddingOf(stored);
    let left = stored;
    this.#state = {
      kind: "body",
      left: stored + padding,
      deliver: (chunk) => {
        const content = chunk.subarray(0, left);
        left -= content.length;
        if (content.length > 0) deliver(content);
      },
    };
  }

  #bad(what: string): EngineError {
    const after =
      this.#last === undefined ? "" : `, at or after ${JSON.stringify(Buffer.from(this.#last, "latin1").toString())}`;
    return new EngineError("invalid", `reading a tar archive, byte ${this.#offset}${after}: ${what}`);
  }
}

const GNU_SPARSE_FLAG = "S";
const ASCII_ZERO = 0x30;
const GNU_EXTENSION = [0, 504] as const;
const GNU_EXTENSION_MORE = 504;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
