import { type ChildProcessByStdio, spawn } from "node:child_process";
import fs from "node:fs";
import type { Duplex, Readable } from "node:stream";
import zlib from "node:zlib";
import { EngineError } from "../../base/index.js";

/** How a layer's blob is packed, told by its first bytes: media types are wrong often enough. */
export type BlobPacking = "none" | "gzip" | "zstd";

const CHUNK_BYTES = 512 << 10;
const GZIP_MAGIC = Buffer.of(0x1f, 0x8b);
const ZSTD_MAGIC = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);

/**
 * Gives the unpacked bytes of the file open at FD, chunk by chunk; a chunk is valid until the next is asked for. ON_READ is told how
 * many packed bytes were read so far. The file is read synchronously: this may run on a thread with a root of its own.
 */
export async function* unpackedBytes(fd: number, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const packing = packingOf(fd);
  switch (packing) {
    case "none":
      yield* chunksOf(fd, onRead);
      return;
    case "gzip":
      yield* through(zlib.createGunzip({ chunkSize: CHUNK_BYTES }), fd, onRead);
      return;
    case "zstd":
      yield* unpackZstd(fd, onRead);
  }
}

function packingOf(fd: number): BlobPacking {
  const start = Buffer.alloc(ZSTD_MAGIC.length);
  const n = fs.readSync(fd, start, 0, start.length, 0);
  if (start.subarray(0, n).equals(ZSTD_MAGIC)) return "zstd";
  return start.subarray(0, Math.min(n, GZIP_MAGIC.length)).equals(GZIP_MAGIC) ? "gzip" : "none";
}

function* chunksOf(fd: number, onRead: (bytes: number) => void): Generator<Buffer> {
  for (let position = 0; ; ) {
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const n = fs.readSync(fd, chunk, 0, chunk.length, position);
    if (n === 0) return;
    position += n;
    onRead(position);
    yield chunk.subarray(0, n);
  }
}

async function* through(stream: Duplex, fd: number, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const fed = feed(stream, fd, onRead);
  // It is awaited below; a failure shows up in the stream first.
  fed.catch(() => {});
  try {
    for await (const chunk of stream) yield chunk as Buffer;
    await fed;
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError(
      "invalid",
      `the compressed data are corrupt: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  } finally {
    stream.destroy();
  }
}

async function feed(stream: Duplex, fd: number, onRead: (bytes: number) => void): Promise<void> {
  for (const chunk of chunksOf(fd, onRead)) {
    if (stream.destroyed) return;
    await new Promise<void>((resolve, reject) => {
      stream.once("close", resolve);
      stream.write(chunk, (error) => {
        stream.off("close", resolve);
        if (error) reject(error);
        else resolve();
      });
    });
  }
  stream.end();
}

/** Node has zstd since 22.15; before that the `zstd` program unpacks. */
async function* unpackZstd(fd: number, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const { createZstdDecompress } = zlib as { createZstdDecompress?: (options: { chunkSize: number }) => Duplex };
  if (createZstdDecompress) yield* through(createZstdDecompress({ chunkSize: CHUNK_BYTES }), fd, onRead);
  else yield* zstdProgram(fd);
}

const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const COMPLAINT_MAX_CHARS = 400;

async function* zstdProgram(fd: number): AsyncGenerator<Buffer> {
  const child = spawn("zstd", ["-d", "-c", "-q"], {
    stdio: [fd, "pipe", "pipe"],
    env: { PATH: PROGRAM_PATH },
  }) as ChildProcessByStdio<null, Readable, Readable>;
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(0, COMPLAINT_MAX_CHARS);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", (code) => resolve(code));
  });
  ended.catch(() => {});
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    if ((await ended) !== 0) throw new EngineError("invalid", `the compressed data are corrupt: ${complaint.trim()}`);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
    throw new EngineError(
      "unsupported",
      "a layer compressed with zstd needs Node 22.15 or later, or the zstd program",
      { cause: error },
    );
  } finally {
    child.kill("SIGKILL");
  }
}
