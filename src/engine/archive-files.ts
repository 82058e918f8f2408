import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, EngineError, type Scope } from "../base/index.js";
import type { DataPlane, LayerStore, StateDirs, Workspace } from "../snapshot/index.js";
import { isArchive, SNIFF_BYTES, saveStream, unpackArchive } from "./stream-context.js";

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
  if (!isArchive(headOf(file, shown))) throw new EngineError("invalid", `${shown} is no tar archive`);
  const place = { directory: path.dirname(file), name: path.basename(file) };
  await unpackArchive(plane, place, workspace, options);
  const directory = path.join(dirs.layers, String(workspace.layer), "fs");
  // What can't be unpacked is copied as it is.
  if (fs.readdirSync(directory).join() === place.name && !isUnpacked(path.join(directory, place.name)))
    throw new EngineError("invalid", `${shown} is packed, but what is in it is no tar archive`);
  return directory;

  async function streamed(stream: AsyncIterable<Uint8Array>): Promise<string> {
    const directory = fs.mkdtempSync(path.join(dirs.tmp, `${owner}-archive-`));
    scope.defer(() => fs.rmSync(directory, { recursive: true, force: true }));
    const saved = path.join(directory, ARCHIVE);
    await saveStream(stream, saved, options);
    return saved;
  }
}

const ARCHIVE = "ashlar-archive.tar";

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
