import fs from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { type AbortOptions, EngineError, type Scope } from "../base/index.js";
import type { DataPlane, LayerStore, StateDirs, Workspace } from "../snapshot/index.js";
import { isArchive, isPacked, SNIFF_BYTES, saveStream, unpackArchive } from "./stream-context.js";

/** What archives are unpacked with. */
export interface Unpacking {
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly dirs: StateDirs;
  /** This engine's own id: temporary files begin with it. */
  readonly owner: string;
}

/** An archive, as a file or a stream. */
export type ArchiveSource = string | AsyncIterable<Uint8Array>;

/** Throws `not-found` for a file that isn't there. */
export function checkSource(source: ArchiveSource): void {
  if (typeof source === "string" && !fs.existsSync(source))
    throw new EngineError("not-found", `open ${source}: no such file or directory`);
}

/** How SOURCE is called in messages. */
export function shownSource(source: ArchiveSource): string {
  return typeof source === "string" ? source : "standard input";
}

/**
 * Unpacks an archive, compressed or not, into an empty workspace; gives the directory that its files are in. Errors: `not-found` for a file
 * that isn't there, `invalid` for what is no archive, `no-space`, `canceled`.
 */
export async function unpackFiles(
  { plane, dirs, owner }: Unpacking,
  { from, workspace }: { readonly from: ArchiveSource; readonly workspace: Workspace },
  { scope, ...options }: AbortOptions & { readonly scope: Scope },
): Promise<string> {
  checkSource(from);
  const file = typeof from === "string" ? path.resolve(from) : await streamed(from);
  const shown = shownSource(from);
  const head = headOf(file, shown);
  const made = path.join(dirs.layers, String(workspace.layer), "fs");
  if (isBlank(file, head)) return made;
  if (!isArchive(head)) throw new EngineError("invalid", `${shown} is no tar archive`);
  const place = { directory: path.dirname(file), name: path.basename(file) };
  await unpackArchive(plane, place, workspace, options);
  // What can't be unpacked is copied as it is.
  if (fs.readdirSync(made).join() === place.name && !isUnpacked(path.join(made, place.name))) {
    const why = isPacked(head)
      ? "is packed, but what is in it is no tar archive"
      : "is no tar archive that can be read";
    throw new EngineError("invalid", `${shown} ${why}`);
  }
  return made;

  async function streamed(stream: AsyncIterable<Uint8Array>): Promise<string> {
    const directory = fs.mkdtempSync(path.join(dirs.tmp, `${owner}-archive-`));
    scope.defer(() => fs.rmSync(directory, { recursive: true, force: true }));
    const saved = path.join(directory, ARCHIVE);
    await saveStream(stream, saved, options);
    return saved;
  }
}

const ARCHIVE = "ashlar-archive.tar";

/** Bytes of an archive without a file, as programs pad it. */
const BLANK_BYTES_MAX = 1024 * 1024;
/** Two blocks of nothing are the end of an archive. */
const END_BYTES = 1024;

/** Whether an archive, plain or packed with gzip, is nothing but its end. */
function isBlank(file: string, head: Buffer): boolean {
  if (fs.statSync(file).size > BLANK_BYTES_MAX) return false;
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  if (!isGzip && (head.length < SNIFF_BYTES || head.some((byte) => byte !== 0))) return false;
  let bytes = fs.readFileSync(file);
  try {
    if (isGzip) bytes = gunzipSync(bytes, { maxOutputLength: BLANK_BYTES_MAX });
  } catch {
    return false; // whoever unpacks it tells what is wrong
  }
  return bytes.length >= END_BYTES && bytes.every((byte) => byte === 0);
}

function headOf(file: string, shown: string): Buffer {
  if (!fs.statSync(file).isFile()) throw new EngineError("invalid", `${shown} is no regular file`);
  const fd = fs.openSync(file, "r");
  try {
    const head = Buffer.alloc(SNIFF_BYTES);
    return head.subarray(0, fs.readSync(fd, head, 0, SNIFF_BYTES, 0));
  } finally {
    fs.closeSync(fd);
  }
}

function isUnpacked(copy: string): boolean {
  return fs.statSync(copy).isDirectory();
}
