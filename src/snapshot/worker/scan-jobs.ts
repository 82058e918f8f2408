import fs from "node:fs";
import type { FileSource } from "../tree.js";
import { fromText, toText } from "./bytes.js";
import type { Job } from "./context.js";
import type { EntryKind } from "./file-entry.js";
import { shown } from "./file-errors.js";
import { Filter } from "./file-filter.js";
import { cleanPath, resolvePath } from "./file-paths.js";
import { fill, readOpenFile } from "./file-read.js";
import { withSource } from "./file-view.js";
import { type Met, walk } from "./file-walk.js";
import { forgetScans } from "./scan-store.js";

/** Forgets what the scans of a build have seen; idempotent. */
export const forgetScan: Job<{ readonly scanId: string }, void> = ({ scanId }) => forgetScans(scanId);

export interface ScanSummary {
  readonly files: number;
  readonly bytes: number;
  /** The largest files, largest first. */
  readonly largest: readonly { readonly path: string; readonly bytes: number }[];
}

const LARGEST_MAX = 10;

/** How much a source holds. */
export const scanSummary: Job<{ readonly source: FileSource }, ScanSummary> = ({ source }, context) =>
  withSource(source, context, (view) => {
    let files = 0;
    let bytes = 0;
    let largest: { readonly path: string; readonly bytes: number }[] = [];
    const visitor = {
      enter() {},
      leave() {},
      passThrough() {},
      visit({
        relative,
        entry,
      }: {
        readonly relative: string;
        readonly entry: { readonly kind: EntryKind; readonly size: number };
      }) {
        if (entry.kind !== "file") return;
        files++;
        bytes += entry.size;
        if (largest.length === LARGEST_MAX && entry.size <= (largest.at(-1)?.bytes ?? 0)) return;
        largest = [...largest, { path: toText(relative), bytes: entry.size }]
          .sort((a, b) => b.bytes - a.bytes)
          .slice(0, LARGEST_MAX);
      },
    };
    walk(view, "", new Filter([], []), visitor, context);
    return { files, bytes, largest };
  });

export interface SourcePath {
  readonly source: FileSource;
  /** UTF-8 text, from the source's root; links are followed inside it. */
  readonly path: string;
}

export interface SourceStat {
  readonly kind: EntryKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

/** What is at a path; undefined where nothing is. */
export const statSource: Job<SourcePath, SourceStat | undefined> = ({ source, path }, context) =>
  withSource(source, context, (view) => {
    const entry = view.lstat(resolvePath(view, cleanPath(fromText(path)), true));
    return entry && { kind: entry.kind, mode: entry.mode, uid: entry.uid, gid: entry.gid, size: entry.size };
  });

export interface SourceFile extends SourcePath {
  readonly maxBytes: number;
  /** Only the first MAX_BYTES are wanted. */
  readonly isHead?: boolean;
}

/** The bytes of the regular file at a path; undefined where there is none. More than MAX_BYTES throws `invalid`. */
export const readSourceFile: Job<SourceFile, Uint8Array | undefined> = (
  { source, path, maxBytes, isHead = false },
  context,
) =>
  withSource(source, context, (view) => {
    const plain = resolvePath(view, cleanPath(fromText(path)), true);
    if (view.lstat(plain)?.kind !== "file") return undefined;
    const fd = view.open(plain);
    try {
      if (!isHead) return new Uint8Array(readOpenFile(fd, maxBytes, shown(plain)));
      const head = Buffer.alloc(maxBytes);
      return new Uint8Array(head.subarray(0, fill(fd, head)));
    } finally {
      fs.closeSync(fd);
    }
  });

/** When the newest regular file of a source was changed, in seconds since the epoch; undefined where there is none. */
export const newestFile: Job<{ readonly source: FileSource }, number | undefined> = ({ source }, context) =>
  withSource(source, context, (view) => {
    let newest: bigint | undefined;
    const visit = ({ entry: { kind, mtimeNs } }: Met) => {
      if (kind === "file" && mtimeNs !== undefined && (newest === undefined || mtimeNs > newest)) newest = mtimeNs;
    };
    walk(view, "", new Filter([], []), { enter() {}, leave() {}, passThrough() {}, visit }, context);
    return newest === undefined ? undefined : Number(newest / NS_PER_SECOND);
  });

const NS_PER_SECOND = 1_000_000_000n;
