import { messageOf } from "../base/index.js";
import type { Bytes, ReadOptions } from "../oci/index.js";
import { TransientError } from "./errors.js";
import { pause } from "./retries.js";

/** Some bytes that are far away. */
export interface Download {
  /** All of them, whether they are wanted or not. */
  readonly sizeBytes: number;
  /** What is being done, for errors: `fetching sha256:… of docker.io/library/alpine`. */
  readonly what: string;
  /** The bytes from POSITION on. TransientError where they end too early. */
  open(position: number): Promise<Bytes>;
}

/**
 * The bytes of a download. What is cut, or stops to come, is taken up from there on, after each of DELAYS_MS; those begin anew when much
 * has come since. Errors: those of the download, with how much of it had come.
 */
export async function* resumed(download: Download, delaysMs: readonly number[], options: ReadOptions): Bytes {
  const { sizeBytes, what } = download;
  let position = options.offset ?? 0;
  let progressedTo = position;
  for (let cuts = 0; position < sizeBytes; ) {
    try {
      for await (const chunk of await download.open(position)) {
        position += chunk.length;
        yield chunk;
      }
      if (position < sizeBytes) throw new TransientError(`${what}: the connection ended`);
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (position - progressedTo >= PROGRESS_BYTES) [cuts, progressedTo] = [0, position];
      const pauseMs = delaysMs[cuts++];
      if (pauseMs === undefined) throw cutAt(error, position, download);
      await pause(pauseMs, options);
    }
  }
}

/** A cut that brought less than this doesn't count as progress, so that a body in drops comes to an end. Bytes. */
const PROGRESS_BYTES = 1024 * 1024;

function cutAt(error: TransientError, position: number, { sizeBytes, what }: Download): TransientError {
  const said = messageOf(error);
  const after = position === 0 ? "" : ` after ${position} of ${sizeBytes} bytes`;
  const message = `${said.includes(what) ? said : `${what}: ${said}`}${after}`;
  return new TransientError(message, { cause: error, retryAfterMs: error.retryAfterMs });
}
