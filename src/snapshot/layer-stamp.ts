/**
 * What one look at a layer's root tells: when it was changed last, in whole seconds as a copy of the state directory keeps them, and how many
 * NAMES are in it. The same as long as nothing comes or goes there.
 */
export function stampOf(mtimeNs: bigint, names: number): string {
  return `${mtimeNs / NANOSECONDS} ${names}`;
}

const NANOSECONDS = 1_000_000_000n;
