import { createHash } from "node:crypto";
import { type AbortOptions, digestFromHex, EngineError } from "../base/index.js";
import type { Descriptor } from "./descriptor.js";

/** A stream of bytes; whoever iterates it owns it, and leaving the loop releases what is behind it. */
export type Bytes = AsyncIterable<Uint8Array>;

/** A place that content can be read from. */
export interface Provider {
  /**
   * The bytes of TARGET from `offset` on (default 0). Errors: `not-found`, `data-loss` where the bytes are not what the
   * descriptor says, `unavailable`, `denied`, `canceled`.
   */
  read(target: Descriptor, options?: ReadOptions): Bytes;
}

/** The bytes that were given are wrong, but who reads the content once more gets it from another place. */
export class SpoiledError extends EngineError {}

export interface ReadOptions extends AbortOptions {
  /** Bytes to leave out at the start. */
  readonly offset?: number;
}

/**
 * PROVIDER, whose bytes cannot lie: a read ends in `data-loss` as soon as there are more bytes than the descriptor says, and at
 * the end where size or sha256 differ. A read from an offset is checked for its size only.
 */
export function verified(provider: Provider): Provider {
  return { read: (target, options) => checked(target, provider.read(target, options), options?.offset ?? 0) };
}

/** PROVIDER, telling REPORT after each chunk how many bytes of what were read so far. */
export function reported(provider: Provider, report: ReportRead): Provider {
  return {
    async *read(target, options) {
      let position = options?.offset ?? 0;
      for await (const chunk of provider.read(target, options)) {
        position += chunk.length;
        report(target, position);
        yield chunk;
      }
    },
  };
}

/** Takes note of how far the reading of some content got, in bytes. */
export type ReportRead = (target: Descriptor, currentBytes: number) => void;

/** CONTENT as the bytes of TARGET from OFFSET on, checked as `verified` promises. */
export async function* checked(
  target: Descriptor,
  content: Bytes,
  offset = 0,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = offset === 0 ? createHash("sha256") : undefined;
  let position = offset;
  for await (const chunk of content) {
    position += chunk.length;
    if (position > target.size) throw mismatch(target, `more than the ${target.size} bytes expected`);
    hash?.update(chunk);
    yield chunk;
  }
  if (position < target.size) throw mismatch(target, `${position} bytes, expected ${target.size}`);
  const digest = hash === undefined ? target.digest : digestFromHex(hash.digest("hex"));
  if (digest !== target.digest) throw mismatch(target, `${digest} after ${position} bytes`);
}

/** All of a small content, verified. `invalid` if its descriptor announces more than MAX_BYTES. */
export async function readAll(
  provider: Provider,
  target: Descriptor,
  maxBytes: number,
  options?: AbortOptions,
): Promise<Buffer> {
  if (target.size > maxBytes) {
    throw new EngineError(
      "invalid",
      `${target.digest}: ${target.size} bytes of ${target.mediaType}, at most ${maxBytes} are allowed`,
    );
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of checked(target, provider.read(target, options))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function mismatch(target: Descriptor, got: string): EngineError {
  return new EngineError("data-loss", `verifying ${target.digest}: got ${got}`);
}
