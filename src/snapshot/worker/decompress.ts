import { spawn } from "node:child_process";
import fs from "node:fs";
import { type Duplex, pipeline, Readable } from "node:stream";
import zlib from "node:zlib";
import { EngineError, messageOf, systemCode } from "../../base/index.js";

/** How a file is compressed, told from its first bytes: names and media types are wrong often enough. */
export type Compression = "none" | "gzip" | "bzip2" | "xz" | "zstd";

/** A compressed file to read from its beginning. */
export interface Compressed {
  /** Open and not yet read from; it stays the caller's. */
  readonly fd: number;
  readonly compression: Compression;
  /** What the file is called in errors. */
  readonly name: string;
  /** Told how many compressed bytes were read so far, where this thread reads them. */
  readonly onRead?: (bytes: number) => void;
}

/** Looks at the first bytes of FD, wherever it stands. */
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
 * The plain content of a file. The reader may stop early. Damage throws `invalid`, a program that is missing `unavailable`. The file is
 * read synchronously: this may run on a thread with a root of its own.
 */
export async function* decompressed(file: Compressed): AsyncGenerator<Buffer, void, undefined> {
  switch (file.compression) {
    case "none":
      return yield* chunksOf(file);
    case "gzip":
      return yield* through(zlib.createGunzip({ chunkSize: CHUNK_BYTES }), file);
    case "zstd": {
      // Node has it since 22.15.
      const { createZstdDecompress: create } = zlib as { createZstdDecompress?: (options: zlib.ZlibOptions) => Duplex };
      return yield* create ? through(create({ chunkSize: CHUNK_BYTES }), file) : throughProgram("zstd", file);
    }
    case "bzip2":
    case "xz":
      return yield* throughProgram(file.compression, file);
  }
}

const MAGIC_BYTES = 10;
const CHUNK_BYTES = 512 * 1024;
/** Where the compressors of a distribution are. */
export const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ERROR_TEXT_MAX_CHARS = 500;

function* chunksOf({ fd, onRead }: Compressed): Generator<Buffer, void, undefined> {
  for (let position = 0; ; ) {
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const size = fs.readSync(fd, chunk, 0, CHUNK_BYTES, position);
    if (size === 0) return;
    position += size;
    onRead?.(position);
    yield chunk.subarray(0, size);
  }
}

async function* through(stream: Duplex, file: Compressed): AsyncGenerator<Buffer, void, undefined> {
  // An error reaches the reader of the last stream.
  pipeline(Readable.from(chunksOf(file), { objectMode: false }), stream, () => {});
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    if (systemCode(error) !== undefined) throw error;
    throw new EngineError("invalid", `${file.name}: ${messageOf(error)}`, { cause: error });
  } finally {
    stream.destroy();
  }
}

async function* throughProgram(
  program: "bzip2" | "xz" | "zstd",
  { fd, name }: Compressed,
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
      ...(program === "zstd" && { hint: "install it, or use Node.js 22.15 or later" }),
    });
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}
