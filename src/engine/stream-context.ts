import fs from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { type AbortOptions, EngineError, type Scope } from "../base/index.js";
import { type DataPlane, type LayerStore, plainCopy, type StateDirs, type Workspace } from "../snapshot/index.js";

/** A main context from a stream: a directory, or a Dockerfile and nothing else. */
export interface StreamContext {
  readonly directory?: string | undefined;
  readonly dockerfileText?: string | undefined;
}

export interface StreamContextOptions {
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly dirs: StateDirs;
  /** Prefix of temporary files: they go when the engine of that name is gone. */
  readonly owner: string;
  readonly signal: AbortSignal;
  /** Takes what has to be removed when the build ends. */
  readonly scope: Scope;
}

/** What comes on standard input may not be larger. */
const STREAM_MAX_BYTES = 64 * 2 ** 30;
/** Bytes from the beginning of a file that tell what it is. */
export const SNIFF_BYTES = 512;

/** Takes the main context from a stream (`build -`): a tar archive, compressed or not, or a Dockerfile. */
export async function openStreamContext(
  stream: AsyncIterable<Uint8Array>,
  options: StreamContextOptions,
): Promise<StreamContext> {
  const directory = fs.mkdtempSync(path.join(options.dirs.tmp, `${options.owner}-context-`));
  options.scope.defer(() => fs.rmSync(directory, { recursive: true, force: true }));
  const file = path.join(directory, ARCHIVE);
  const head = await saveStream(stream, file, options);
  if (!isArchive(head)) {
    const text = fs.readFileSync(file, "utf8");
    fs.rmSync(file);
    return { directory, dockerfileText: text };
  }
  const { plane, layers, dirs, signal } = options;
  const workspace = await layers.create([]);
  options.scope.defer(() => layers.abandon(workspace));
  await unpackArchive(plane, { directory, name: ARCHIVE }, workspace, { signal });
  const unpacked = path.join(dirs.layers, String(workspace.layer), "fs");
  // What can't be unpacked is copied as it is.
  if (fs.readdirSync(unpacked).join() === ARCHIVE) {
    throw new EngineError("invalid", "the context on standard input is packed, but what is in it is no tar archive");
  }
  return { directory: unpacked };
}

const ARCHIVE = "context.tar";

/** Unpacks the archive NAME of DIRECTORY, compressed or not, into an empty workspace; nothing in it leads out of there. */
export async function unpackArchive(
  plane: DataPlane,
  { directory, name }: { readonly directory: string; readonly name: string },
  workspace: Workspace,
  { signal }: AbortOptions,
): Promise<void> {
  const source = { kind: "context", directory, excludes: [], scanId: directory } as const;
  const action = { ...plainCopy(`/${name}`), followSymlink: true, attemptUnpack: true };
  await plane.run("applyFileAction", { workspace, action, source }, { signal, affinity: directory });
  await plane.read("forgetScan", { scanId: directory }, { affinity: directory });
}

/** Writes the stream to the new FILE; gives its first bytes. */
export async function saveStream(
  stream: AsyncIterable<Uint8Array>,
  file: string,
  { signal }: AbortOptions,
): Promise<Buffer> {
  const handle = await open(file, "wx", 0o600);
  try {
    let total = 0;
    for await (const chunk of stream) {
      signal?.throwIfAborted();
      total += chunk.length;
      if (total > STREAM_MAX_BYTES)
        throw new EngineError("invalid", `what comes on standard input is larger than ${STREAM_MAX_BYTES} bytes`);
      await handle.writeFile(chunk);
    }
  } finally {
    await handle.close();
  }
  const head = Buffer.alloc(SNIFF_BYTES);
  const fd = fs.openSync(file, "r");
  try {
    return head.subarray(0, fs.readSync(fd, head, 0, SNIFF_BYTES, 0));
  } finally {
    fs.closeSync(fd);
  }
}

/** Magic bytes of gzip, bzip2, xz, zstd; a tar archive has its magic in the first header. */
const MAGICS = ["1f8b", "425a68", "fd377a585a00", "28b52ffd"].map((hex) => Buffer.from(hex, "hex"));
const TAR_MAGIC_OFFSET = 257;

/** Whether a file that begins with HEAD is a tar archive or a compressed file. */
export function isArchive(head: Buffer): boolean {
  if (isPacked(head)) return true;
  return head.subarray(TAR_MAGIC_OFFSET, TAR_MAGIC_OFFSET + 5).toString("latin1") === "ustar" || isOldTar(head);
}

/** Whether it is compressed. */
export function isPacked(head: Buffer): boolean {
  return MAGICS.some((magic) => head.subarray(0, magic.length).equals(magic));
}

/** A tar header without magic: its checksum is the sum of its bytes, the checksum's own counted as blanks. */
function isOldTar(head: Buffer): boolean {
  if (head.length < SNIFF_BYTES || head[0] === 0) return false;
  const written = Number.parseInt(head.toString("latin1", 148, 156), 8);
  const sum = head.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  return written === sum;
}
