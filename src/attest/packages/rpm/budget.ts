/** Values of a database may be said to share their pages: more than so many times its size is not read. */
const SHARE_MAX = 4;

/** Counts what is read of a database of so many bytes; false once it is too much. */
export function budgetOf(sizeBytes: number): (bytes: number) => boolean {
  let left = sizeBytes * SHARE_MAX;
  return (bytes) => {
    left -= bytes;
    return left >= 0;
  };
}
