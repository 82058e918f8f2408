import type { AbortOptions } from "../base/index.js";
import type { Bytes } from "../oci/index.js";

/** How far a piece of an export is. Numbers count bytes. */
export interface ExportStatus {
  /** What is done, in the words BuildKit shows: `exporting layers`, `naming to docker.io/library/x:latest`. */
  readonly id: string;
  readonly current?: number;
  readonly total?: number;
  readonly done: boolean;
}

/** What every export takes. */
export interface ExportOptions extends AbortOptions {
  readonly onProgress?: ((status: ExportStatus) => void) | undefined;
}

/** Does WORK and tells when it begins, how many bytes it is through, and when it has succeeded. */
export async function reported<T>(
  id: string,
  { onProgress }: ExportOptions,
  work: (report: (current: number) => void) => Promise<T>,
): Promise<T> {
  let last: number | undefined;
  const amount = () => (last === undefined ? {} : { current: last });
  onProgress?.({ id, done: false });
  const result = await work((current) => {
    last = current;
    onProgress?.({ id, current, done: false });
  });
  onProgress?.({ id, ...amount(), done: true });
  return result;
}

/** CONTENT, telling REPORT after each chunk how many bytes there were. */
export async function* counted(content: Bytes, report: (bytes: number) => void): Bytes {
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    report(bytes);
    yield chunk;
  }
}
