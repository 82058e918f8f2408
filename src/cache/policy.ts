import type { UsageFilter } from "./usage.js";

/** What may be removed, and how far. A policy without any bound removes all that it is about. */
export interface CachePolicy {
  /** One of them must hold; all entries if there are none. */
  readonly filters: readonly UsageFilter[];
  /** What is shared with images, and internal data, too. */
  readonly all: boolean;
  /** What was used since is kept. Milliseconds; 0: however lately it was used. */
  readonly keepDurationMs: number;
  /** Bytes below which nothing is removed, whatever the other bounds say. */
  readonly reservedBytes?: number | undefined;
  /** Bytes that the state directory may have, images included. */
  readonly maxUsedBytes?: number | undefined;
  /** Bytes of the disk that should be free. */
  readonly minFreeBytes?: number | undefined;
}

/** A disk, in bytes. */
export interface DiskSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/**
 * Down to how many bytes POLICY wants a state directory of USED bytes to be brought; undefined where it is no matter of size. As
 * BuildKit reckons: the room that has to be free counts against what is used, and what is reserved is never touched.
 */
export function targetBytes(policy: CachePolicy, usedBytes: number, disk: DiskSpace): number | undefined {
  const { reservedBytes, maxUsedBytes, minFreeBytes } = policy;
  if (reservedBytes === undefined && maxUsedBytes === undefined && minFreeBytes === undefined) return undefined;
  const lacking = Math.max((minFreeBytes ?? 0) - disk.freeBytes, 0);
  const bound = maxUsedBytes ?? (minFreeBytes === undefined ? 0 : usedBytes);
  return Math.max(Math.min(bound, usedBytes - lacking), reservedBytes ?? 0, 0);
}

/** A share of the disk, or bytes. */
export type SizeBound = { readonly percent: number } | { readonly bytes: number };

/** BOUND in bytes. */
export function boundBytes(bound: SizeBound, { totalBytes }: DiskSpace): number {
  return "bytes" in bound ? bound.bytes : Math.floor((totalBytes * bound.percent) / 100);
}

/** The bounds that hold where nobody has said others. */
export interface CacheBounds {
  readonly reserved: SizeBound;
  readonly maxUsed: SizeBound;
  readonly minFree: SizeBound;
}

/** The least of a share of the disk and of bytes. */
const DEFAULT_RESERVED = [{ percent: 10 }, { bytes: 10e9 }] as const;
const DEFAULT_MAX_USED = [{ percent: 60 }, { bytes: 100e9 }] as const;
const DEFAULT_MIN_FREE = [{ percent: 10 }, { bytes: 10e9 }] as const;

/** What is left of contexts and repositories can be had again easily, caches of steps less so. */
const SOURCES_KEPT_MS = 7 * 24 * 3_600_000;
const MOUNTS_KEPT_MS = 30 * 24 * 3_600_000;
const ANYTHING_KEPT_MS = 60 * 24 * 3_600_000;
/** Below this nothing is removed for its age alone but after the longest time. Bytes. */
const EASY_BYTES = 2e9;

/** The policies that hold where nobody has written others, with BOUNDS in place of the usual ones. What is reserved wins over the rest where it is written. */
export function defaultPolicies(disk: DiskSpace, bounds: Partial<CacheBounds> = {}): readonly CachePolicy[] {
  const least = (choices: readonly SizeBound[]) => Math.min(...choices.map((choice) => boundBytes(choice, disk)));
  const maxUsedBytes = bounds.maxUsed ? boundBytes(bounds.maxUsed, disk) : least(DEFAULT_MAX_USED);
  const reservedBytes = bounds.reserved
    ? boundBytes(bounds.reserved, disk)
    : Math.min(least(DEFAULT_RESERVED), maxUsedBytes);
  const minFreeBytes = bounds.minFree ? boundBytes(bounds.minFree, disk) : least(DEFAULT_MIN_FREE);
  const sources: UsageFilter = ({ type }) => type === "source.local" || type === "source.git.checkout";
  const mounts: UsageFilter = ({ type }) => type === "exec.cachemount";
  const base = { all: false, filters: [] };
  return [
    { ...base, filters: [sources], keepDurationMs: SOURCES_KEPT_MS, maxUsedBytes: EASY_BYTES },
    { ...base, filters: [mounts], keepDurationMs: MOUNTS_KEPT_MS, maxUsedBytes: EASY_BYTES },
    { ...base, keepDurationMs: ANYTHING_KEPT_MS },
    { ...base, keepDurationMs: 0, reservedBytes, maxUsedBytes, minFreeBytes },
  ];
}
