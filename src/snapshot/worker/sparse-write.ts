import { writeFully } from "./layer-copy.js";

/** Runs of zeros are looked for in blocks of this size. Bytes. */
const BLOCK_BYTES = 64 << 10;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
/** A shorter run is not worth a hole. Bytes. */
const HOLE_BYTES_MIN = 4096;

/**
 * Writes BYTES at POSITION of a file that has nothing there yet. Runs of zeros become holes: whoever packed a file with holes may have
 * written them out. Whether there are any: then the file has to be given its length at the end.
 */
export function writeSparsely(fd: number, bytes: Uint8Array, position: number): boolean {
  let holes = false;
  let written = 0;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const end = Math.min(at + BLOCK_BYTES, bytes.length);
    if (!isHole(bytes, at, end)) continue;
    if (at > written) writeFully(fd, bytes.subarray(written, at), position + written);
    written = end;
    holes = true;
  }
  if (written < bytes.length) writeFully(fd, bytes.subarray(written), position + written);
  return holes;
}

function isHole(bytes: Uint8Array, at: number, end: number): boolean {
  if (bytes[at] !== 0 || bytes[end - 1] !== 0 || end - at < HOLE_BYTES_MIN) return false;
  return ZEROS.subarray(0, end - at).equals(bytes.subarray(at, end));
}
