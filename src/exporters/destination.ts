import { createWriteStream, type Stats } from "node:fs";
import { chmod, mkdtemp, realpath, rename, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type AbortOptions, canceled, EngineError, errorCode, makeDirectories, messageOf } from "../base/index.js";
import type { Bytes } from "../oci/index.js";

/** Where an export goes: a path, or a stream, which is ended. */
export type Destination = string | NodeJS.WritableStream;

/**
 * Writes CONTENT to DESTINATION and gives its size. A file appears as a whole, with the directories above it, or not at all; a device or
 * pipe is written to. A stream's own errors pass through.
 */
export async function writeTo(destination: Destination, content: Bytes, options: AbortOptions): Promise<number> {
  const counted = new Counter(content);
  if (typeof destination !== "string") await pump(counted, destination, options);
  else await writeFileTo(destination, (file) => pump(counted, createWriteStream(file), options));
  return counted.bytes;
}

/** Like `writeTo` for a path, with WRITE making the file whose absolute path it is given. */
export async function writeFileTo(destination: string, write: (file: string) => Promise<void>): Promise<void> {
  try {
    const existing = await statOf(destination);
    if (existing?.isDirectory()) throw new EngineError("invalid", `${destination} is a directory`);
    if (existing && !existing.isFile()) await write(path.resolve(destination));
    else await replaceFile(existing ? await realpath(destination) : destination, existing, write);
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    const hint = errorCode(cause) === "no-space" ? { hint: "make room there, or write to another place" } : {};
    throw new EngineError(errorCode(cause), `writing ${destination}: ${messageOf(cause)}`, { cause, ...hint });
  }
}

async function replaceFile(
  target: string,
  existing: Stats | undefined,
  write: (file: string) => Promise<void>,
): Promise<void> {
  const parent = path.dirname(path.resolve(target));
  const made = makeDirectories(parent);
  const directory = await mkdtemp(path.join(parent, ".ashlar-"));
  let done = false;
  try {
    const file = path.join(directory, "part");
    await write(file);
    if (existing) await chmod(file, existing.mode & 0o7777);
    await rename(file, target);
    done = true;
  } finally {
    await rm(directory, { recursive: true, force: true });
    if (!done && made !== undefined) await removeEmpty(parent, made);
  }
}

/** Removes DIRECTORY and what is above it up to TOP, as far as nobody has put anything into them. */
async function removeEmpty(directory: string, top: string): Promise<void> {
  try {
    for (let at = directory; at.startsWith(top); at = path.dirname(at)) await rmdir(at);
  } catch {
    // Somebody has: they stay.
  }
}

class Counter implements AsyncIterable<Uint8Array> {
  bytes = 0;
  readonly #content: Bytes;

  constructor(content: Bytes) {
    this.#content = content;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of this.#content) {
      this.bytes += chunk.length;
      yield chunk;
    }
  }
}

async function pump(content: Bytes, to: NodeJS.WritableStream, { signal }: AbortOptions): Promise<void> {
  if (signal?.aborted) throw canceled(signal);
  try {
    await pipeline(Readable.from(content, { objectMode: false }), to, signal ? { signal } : {});
  } catch (error) {
    throw signal?.aborted ? canceled(signal) : error;
  }
}

async function statOf(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    if (errorCode(error) === "not-found") return undefined;
    throw error;
  }
}
