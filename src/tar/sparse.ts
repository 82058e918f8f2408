import type { TarPath } from "./entry.js";
import { SPARSE_PIECES_MAX } from "./limits.js";

/** A run of data in a sparse file: where it stands in the file and how long it is, in bytes. What lies between is zeros. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
}

/** A sparse file as its header tells it: the pieces, or that a map stands in front of the data (GNU format 1.0). */
export type SparseInfo =
  | { readonly kind: "pieces"; readonly size: number; readonly pieces: readonly Piece[] }
  | { readonly kind: "map-in-data"; readonly size: number };

/** Pairs of offset and length as pieces; undefined unless they ascend, do not overlap and end within SIZE. */
export function piecesOf(numbers: readonly number[], size: number): Piece[] | undefined {
  if (numbers.length % 2 !== 0) return undefined;
  const pieces: Piece[] = [];
  let end = 0;
  for (let i = 0; i < numbers.length; i += 2) {
    const offset = numbers[i] ?? Number.NaN;
    const length = numbers[i + 1] ?? Number.NaN;
    if (!(offset >= end && length >= 0 && offset + length <= size)) return undefined;
    end = offset + length;
    if (length > 0) pieces.push({ offset, length });
  }
  return pieces;
}

/** What PAX records say of a sparse file (GNU formats 0.0, 0.1 and 1.0); undefined: not sparse; "malformed": it cannot be. */
export function sparseOfRecords(
  records: ReadonlyMap<string, TarPath>,
  plainSize: number,
): SparseInfo | "malformed" | undefined {
  const version = `${records.get("GNU.sparse.major") ?? ""}.${records.get("GNU.sparse.minor") ?? ""}`;
  const map = records.get("GNU.sparse.map");
  if (!["0.0", "0.1", "1.0", "."].includes(version) || (version === "." && map === undefined)) return undefined;
  const sizeText = records.get("GNU.sparse.size") ?? records.get("GNU.sparse.realsize");
  const size = sizeText === undefined ? plainSize : decimal(sizeText);
  if (size === undefined) return "malformed";
  if (version === "1.0") return { kind: "map-in-data", size };
  const numbers = map === undefined || map === "" ? [] : map.split(",").map((text) => decimal(text) ?? Number.NaN);
  const pieces = piecesOf(numbers, size);
  return pieces ? { kind: "pieces", size, pieces } : "malformed";
}

/** A whole number that can be counted with; undefined for anything else. */
export function decimal(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Reads the map in front of a sparse file's data: the count of pieces, then each one's offset and length, a line each. */
export class SparseMapReader {
  readonly #numbers: number[] = [];
  #line = "";

  /** Takes the next bytes; gives the numbers without the count once they are all there. What follows them is padding. */
  push(text: string): number[] | "incomplete" | "malformed" {
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) {
      const value = decimal(line);
      if (value === undefined) return "malformed";
      this.#numbers.push(value);
      const [count = 0] = this.#numbers;
      if (count > SPARSE_PIECES_MAX) return "malformed";
      if (this.#numbers.length === 1 + 2 * count) return this.#numbers.slice(1);
    }
    return this.#line.length > DIGITS_MAX ? "malformed" : "incomplete";
  }
}

const DIGITS_MAX = 16;
