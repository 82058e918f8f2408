/** Where a header's fields stand: offset and length in bytes (POSIX ustar; GNU and star where named). */
export const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  userName: [265, 32],
  groupName: [297, 32],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
  prefix: [345, 155],
  starPrefix: [345, 131],
  starTrailer: [508, 4],
  gnuSparse: [386, 96],
  gnuSparseExtended: [482, 1],
  gnuRealSize: [483, 12],
} as const satisfies Record<string, readonly [number, number]>;

export type Field = readonly [offset: number, length: number];

export const USTAR_MAGIC = "ustar\x0000";
export const GNU_MAGIC = "ustar  \0";

/** The sum of a header's bytes, its checksum field counted as blanks; SIGNED as some old programs took bytes for signed. */
export function checksumOf(block: Uint8Array, kind: "unsigned" | "signed"): number {
  const [start, length] = FIELD.checksum;
  let sum = BLANK * length;
  for (let i = 0; i < block.length; i++) sum += block[i] ?? 0;
  for (let i = start; i < start + length; i++) sum -= block[i] ?? 0;
  if (kind === "unsigned") return sum;
  for (let i = 0; i < block.length; i++) {
    if ((block[i] ?? 0) > 127 && (i < start || i >= start + length)) sum -= 256;
  }
  return sum;
}

const BLANK = 0x20;
