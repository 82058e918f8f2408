import { spawn } from "node:child_process";
import fs from "node:fs";
import { pipeline, Readable } from "node:stream";
import zlib from "node:zlib";
import { EngineError, systemCode } from "../../base/index.js";
import { fill } from "./file-read.js";

/** How a file is compressed, told from its first bytes. */
export type Compression = "none" | "gzip" | "bzip2" | "xz" | "zstd";

const MAGIC_BYTES = 10;
const CHUNK_BYTES = 256 * 1024;
/** Where the decompressors of a distribution are. */
const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ERROR_TEXT_MAX_CHARS = 500;

/** Reads the first bytes of FD, wherever it stands, to see how it is compressed. */
export function detectCompression(fd: number): Compression {
  const magic = Buffer.alloc(MAGIC_BYTES);
  const size = fs.readSync(fd, magic, 0, MAGIC_BYTES, 0);
  const hex = magic.toString("hex", 0, size);
  if (hex.startsWith("425a68")) return "bzip2";
  if (hex.startsWith("1f8b08")) return "gzip";
  if (hex.startsWith("fd377a585a00")) return "xz";
  // A zstd frame, or one to be skipped (RFC 8878, section 3.1).
  if (hex.startsWith("28b52ffd") || (size >= 8 && /^5.2a4d18/.test(hex))) return "zstd";
  return "none";
}

/**
 * The content of the file open as FD from where it stands, decompressed. The reader may stop early. Damage throws `invalid`, a program
 * that is missing `unavailable`; NAME is the file in their sentences. FD stays the caller's.
 */
export async function* plainChunks(
  fd: number,
  compression: Compression,
  name: string,
): AsyncGenerator<Buffer, void, undefined> {
  switch (compression) {
    case "none":
      return yield* fileChunks(fd);
    case "gzip":
      return yield* gunzip(fd, name);
    default:
      return yield* decompressedBy(compression, fd, name);
  }
}

function* fileChunks(fd: number): Generator<Buffer, void, undefined> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const size = fill(fd, buffer);
    if (size > 0) yield buffer.subarray(0, size);
    if (size < CHUNK_BYTES) return;
  }
}

async function* gunzip(fd: number, name: string): AsyncGenerator<Buffer, void, undefined> {
  const stream = zlib.createGunzip({ chunkSize: CHUNK_BYTES });
  // An error reaches the reader of the last stream.
  pipeline(Readable.from(fileChunks(fd), { objectMode: false }), stream, () => {});
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    throw new EngineError("invalid", `${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    stream.destroy();
  }
}

async function* decompressedBy(
  program: "bzip2" | "xz" | "zstd",
  fd: number,
  name: string,
): AsyncGenerator<Buffer, void, undefined> {
  const child = spawn(program, ["-d", "-c", "-q"], { stdio: [fd, "pipe", "pipe"], env: { PATH: PROGRAM_PATH } });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, ERROR_TEXT_MAX_CHARS);
  });
  const exited = new Promise<number | Error>((resolve) => {
    child.once("error", resolve);
    child.once("close", (code) => resolve(code ?? -1));
  });
  try {
    yield* child.stdout as Readable as AsyncIterable<Buffer>;
    const exit = await exited;
    if (exit === 0) return;
    if (typeof exit === "number") throw new EngineError("invalid", `${name}: ${said.trim() || `${program} failed`}`);
    if (systemCode(exit) !== "ENOENT") throw exit;
    throw new EngineError("unavailable", `unpacking ${name} takes the program ${program}, which is not installed`, {
      cause: exit,
    });
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}
