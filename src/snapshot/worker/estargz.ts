import { createHash, type Hash } from "node:crypto";
import { digestFromHex, EngineError } from "../../base/index.js";
import {
  createTarParser,
  END_OF_ARCHIVE,
  encodeHeader,
  paddingOf,
  type TarEntry,
  type TarParser,
} from "../../tar/index.js";
import { toText } from "./bytes.js";
import type { Compressor, Output, Repacked } from "./compressor.js";
import { GzipMembers } from "./gzip-members.js";

/**
 * Compresses a tar archive to eStargz (stargz-snapshotter, docs/estargz.md): gzip members of their own for the content of every file, a
 * table of contents behind the end of the archive, and a footer that tells where the table begins. Read as a plain gzip, it is the archive
 * with a landmark in front of it, which says that nothing is to be fetched ahead. `unsupported` for an archive with sparse files or a
 * table of its own.
 */
export function createEstargz(level: number, output: Output, membersInFlight: number): Compressor {
  return new Estargz(level, output, membersInFlight);
}

/** Larger contents are split, so that a part of them can be read and checked alone. */
const CHUNK_BYTES = 4 << 20;
const TOC_NAME = "stargz.index.json";
const LANDMARK_NAME = ".no.prefetch.landmark";
const LANDMARK_CONTENT = 0x0f;
const METADATA_MODE = 0o444;

interface TocEntry {
  name: string;
  type: string;
  size?: number;
  modtime?: string;
  linkName?: string;
  mode: number;
  uid: number;
  gid: number;
  userName?: string;
  groupName?: string;
  offset?: number;
  devMajor?: number;
  devMinor?: number;
  NumLink: number;
  xattrs?: Record<string, string>;
  digest?: string;
  chunkOffset?: number;
  chunkSize?: number;
  chunkDigest?: string;
}

/** The file whose content comes now. */
interface OpenFile {
  readonly first: TocEntry;
  readonly digest: Hash;
  position: number;
  chunk: TocEntry;
  chunkHash: Hash;
}

class Estargz implements Compressor {
  readonly #members: GzipMembers;
  readonly #parser: TarParser;
  readonly #entries: TocEntry[] = [];
  readonly #hash = createHash("sha256");
  #size = 0;
  #block: Buffer = Buffer.alloc(0);
  /** What of the block is handed on already. */
  #handed = 0;
  #file: OpenFile | undefined;
  #began = false;

  constructor(level: number, output: Output, membersInFlight: number) {
    this.#members = new GzipMembers(level, output, membersInFlight);
    this.#parser = createTarParser({
      entry: (entry) => this.#entry(entry),
      body: (chunk) => this.#body(chunk),
      hole: () => {
        throw new EngineError("unsupported", "compression=estargz: an archive with sparse files can't be packed so");
      },
      entryEnd: () => this.#entryEnd(),
    });
  }

  async write(block: Buffer): Promise<void> {
    if (!this.#began) {
      this.#began = true;
      await this.#take(metadataFile(LANDMARK_NAME, Buffer.of(LANDMARK_CONTENT)));
    }
    await this.#take(block);
  }

  async end(): Promise<Repacked> {
    if (!this.#began) await this.write(Buffer.alloc(0));
    this.#members.close();
    // Offsets are known once everything before them is out.
    await this.#members.drain();
    const tocOffset = this.#members.position;
    const toc = Buffer.from(JSON.stringify({ version: 1, entries: this.#entries }, undefined, "\t"));
    const table = Buffer.concat([metadataFile(TOC_NAME, toc), END_OF_ARCHIVE]);
    this.#count(table);
    this.#members.add(table);
    this.#members.close();
    await this.#members.drain();
    this.#members.footer(tocOffset);
    return {
      diffId: digestFromHex(this.#hash.digest("hex")),
      annotations: {
        "containerd.io/snapshot/stargz/toc.digest": digestFromHex(createHash("sha256").update(toc).digest("hex")),
        "io.containers.estargz.uncompressed-size": String(this.#size),
      },
    };
  }

  async #take(block: Buffer): Promise<void> {
    this.#count(block);
    this.#block = block;
    this.#handed = 0;
    this.#parser.write(block);
    this.#handTo(block.length);
    await this.#members.room();
  }

  #count(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }

  #handTo(end: number): void {
    if (end > this.#handed) this.#members.add(this.#block.subarray(this.#handed, end));
    this.#handed = end;
  }

  #entry(entry: TarEntry): void {
    const name = toText(entry.name);
    if (name.replace(/^(?:\.?\/)+/, "") === TOC_NAME)
      throw new EngineError("unsupported", `compression=estargz: the layer holds a file ${TOC_NAME} of its own`);
    const described = describe(entry);
    this.#entries.push(described);
    if (entry.type !== "file" || entry.size === 0) return;
    const digest = createHash("sha256");
    const chunkHash = createHash("sha256");
    this.#file = { first: described, digest, position: 0, chunk: described, chunkHash };
  }

  /** CHUNK is a piece of the block that is being read. */
  #body(chunk: Uint8Array): void {
    const file = this.#file;
    if (!file) return;
    const start = chunk.byteOffset - this.#block.byteOffset;
    for (let at = 0; at < chunk.length; ) {
      if (file.position % CHUNK_BYTES === 0) {
        this.#handTo(start + at);
        this.#openChunk(file);
      }
      const left = CHUNK_BYTES - (file.position % CHUNK_BYTES);
      const piece = chunk.subarray(at, at + left);
      file.digest.update(piece);
      file.chunkHash.update(piece);
      at += piece.length;
      file.position += piece.length;
    }
  }

  #openChunk(file: OpenFile): void {
    this.#members.close();
    if (file.position > 0) {
      closeChunk(file);
      file.chunk.chunkSize = CHUNK_BYTES;
      const { name } = file.first;
      file.chunk = { name, type: "chunk", mode: 0, uid: 0, gid: 0, NumLink: 0, chunkOffset: file.position };
      file.chunkHash = createHash("sha256");
      this.#entries.push(file.chunk);
    }
    const { chunk } = file;
    this.#members.whenPlaced((offset) => {
      chunk.offset = offset;
    });
  }

  #entryEnd(): void {
    const file = this.#file;
    if (!file) return;
    closeChunk(file);
    file.first.digest = digestFromHex(file.digest.digest("hex"));
    this.#file = undefined;
  }
}

function closeChunk(file: OpenFile): void {
  file.chunk.chunkDigest = digestFromHex(file.chunkHash.digest("hex"));
}

/** A file that only tells about others, as it stands in the archive. */
function metadataFile(name: string, content: Buffer): Buffer {
  const header = encodeHeader({ name, type: "file", mode: METADATA_MODE, size: content.length });
  return Buffer.concat([header, content, Buffer.alloc(paddingOf(content.length))]);
}

const TYPES = {
  file: "reg",
  link: "hardlink",
  symlink: "symlink",
  char: "char",
  block: "block",
  directory: "dir",
  fifo: "fifo",
} as const;
const NS_PER_MS = 1_000_000n;

function describe(entry: TarEntry): TocEntry {
  const { type, size, mode, uid, gid, mtimeNs, device, xattrs } = entry;
  const isDevice = type === "char" || type === "block";
  const attributes = [...xattrs].map(([key, value]) => [key, Buffer.from(value).toString("base64")] as const);
  return {
    name: toText(entry.name),
    type: TYPES[type],
    ...(size > 0 ? { size } : {}),
    ...(mtimeNs === 0n ? {} : { modtime: new Date(Number(mtimeNs / NS_PER_MS)).toISOString().replace(/\.\d+Z$/, "Z") }),
    ...(entry.linkName === "" ? {} : { linkName: toText(entry.linkName) }),
    mode,
    uid,
    gid,
    ...(entry.userName === "" ? {} : { userName: toText(entry.userName) }),
    ...(entry.groupName === "" ? {} : { groupName: toText(entry.groupName) }),
    ...(isDevice ? { devMajor: device.major, devMinor: device.minor } : {}),
    NumLink: 0,
    ...(attributes.length > 0 ? { xattrs: Object.fromEntries(attributes) } : {}),
  };
}
