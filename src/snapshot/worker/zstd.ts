import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Transform, Writable } from "node:stream";
import zlib from "node:zlib";
import { EngineError, systemCode } from "../../base/index.js";
import type { Compressor, Output } from "./compressor.js";
import { PROGRAM_PATH } from "./decompress.js";

/**
 * Compresses to one zstd frame with a checksum (RFC 8878): by Node's own library where it has one (22.15 and later), else by the program
 * zstd(1). Errors: `unavailable` where there is neither.
 */
export function createZstd(level: number, output: Output): Compressor {
  const create = builtIn();
  if (create === undefined) return new ProgramZstd(level, output);
  const params = { [PARAM_LEVEL]: level, [PARAM_CHECKSUM]: 1 };
  return new StreamZstd(create({ params }), output);
}

/** Which of them it is, with its version. Errors as of `createZstd`. */
export function zstdEncoder(): string {
  const { zstd } = process.versions;
  if (builtIn() !== undefined) return `libzstd ${zstd ?? "of an unknown version"}`;
  try {
    const said = execFileSync("zstd", ["-V"], { env: { PATH: PROGRAM_PATH }, encoding: "utf8" });
    return `zstd(1) ${/v(\d[\d.]*)/.exec(said)?.[1] ?? "of an unknown version"}`;
  } catch (error) {
    throw failure(error);
  }
}

/** ZSTD_c_compressionLevel and ZSTD_c_checksumFlag (zstd.h). */
const PARAM_LEVEL = 100;
const PARAM_CHECKSUM = 201;
/** Levels above this take --ultra. */
const ULTRA_LEVEL = 19;
const ERROR_TEXT_MAX_CHARS = 500;

type CreateZstd = (options: { readonly params: Readonly<Record<number, number>> }) => Transform;

function builtIn(): CreateZstd | undefined {
  return (zlib as { createZstdCompress?: CreateZstd }).createZstdCompress;
}

/** Input to a stream, output from one. */
class StreamZstd implements Compressor {
  readonly #input: Writable;
  readonly #ended: Promise<unknown>;

  constructor(stream: Transform, output: Output) {
    this.#input = stream;
    stream.on("data", output);
    this.#ended = once(stream, "end");
    this.#ended.catch(() => {}); // told where it is waited for
  }

  async write(block: Buffer): Promise<void> {
    if (!this.#input.write(block)) await Promise.race([once(this.#input, "drain"), this.#ended]);
  }

  async end(): Promise<undefined> {
    this.#input.end();
    await this.#ended;
  }

  abandon(): void {
    this.#input.destroy();
  }
}

/** The program, with this thread at both of its ends. */
class ProgramZstd implements Compressor {
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #exited: Promise<void>;

  constructor(level: number, output: Output) {
    // With -T0 the frame is the same on any number of cores.
    const flags = ["-q", "-c", "-T0", `-${Math.max(1, level)}`, ...(level > ULTRA_LEVEL ? ["--ultra"] : [])];
    const child = spawn("zstd", flags, { stdio: ["pipe", "pipe", "pipe"], env: { PATH: PROGRAM_PATH } });
    this.#child = child;
    this.#input = child.stdin;
    this.#input.on("error", () => {}); // why it broke is told by how the program ended
    this.#exited = outcome(child, child.stdout, output);
    this.#exited.catch(() => {}); // told where it is waited for
  }

  async write(block: Buffer): Promise<void> {
    if (!this.#input.write(block)) await Promise.race([once(this.#input, "drain"), this.#exited]);
  }

  async end(): Promise<undefined> {
    this.#input.end();
    await this.#exited;
  }

  abandon(): void {
    this.#child.kill("SIGKILL");
  }
}

async function outcome(child: ChildProcess, stdout: Readable, output: Output): Promise<void> {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, ERROR_TEXT_MAX_CHARS);
  });
  stdout.on("data", output);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (error) => reject(failure(error)));
    child.once("close", resolve);
  });
  if (code !== 0) throw new EngineError("failed", `packing a layer: zstd: ${said.trim() || `it ended with ${code}`}`);
}

function failure(cause: unknown): unknown {
  if (systemCode(cause) !== "ENOENT") return cause;
  return new EngineError("unavailable", "packing by zstd takes the program zstd, which is not installed", {
    cause,
    hint: "install it, or use Node.js 22.15 or later",
  });
}
