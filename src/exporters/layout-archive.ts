import { once } from "node:events";
import type { Pack } from "tar-stream";
import type { AbortOptions } from "../base/index.js";
import type { Bytes } from "../oci/index.js";
import type { LayoutFile } from "./layout-files.js";

/** How much of the archive is made ahead of its reader. */
const AHEAD_BYTES = 1 << 20;

/** FILES and the directories they are in as a tar archive, sorted by name and dated 1970: the same files are the same bytes. */
export async function* layoutArchive(files: readonly LayoutFile[], options: AbortOptions): Bytes {
  const { pack } = await import("tar-stream");
  const archive = pack({ highWaterMark: AHEAD_BYTES });
  const filling = fill(archive, files, options);
  filling.catch((error) => archive.destroy(error));
  try {
    yield* archive as AsyncIterable<Uint8Array>;
    await filling;
  } finally {
    archive.destroy();
    await filling.catch(() => {}); // its error has ended the archive, or nobody waits for it any more
  }
}

async function fill(archive: Pack, files: readonly LayoutFile[], options: AbortOptions): Promise<void> {
  const names = new Set(files.flatMap(({ name }) => parentsOf(name)));
  const directories = [...names].map((name) => ({ name: `${name}/`, file: undefined }));
  const entries = [...directories, ...files.map((file) => ({ name: file.name, file }))];
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  // Listened for once, however many files there are.
  const closed = once(archive as unknown as NodeJS.EventEmitter, "close");
  closed.catch(() => {});
  for (const { name, file } of entries) {
    if (file === undefined) archive.entry({ name, type: "directory", mode: 0o755, mtime: EPOCH });
    else await add({ archive, closed }, file, options);
  }
  archive.finalize();
}

const EPOCH = new Date(0);

interface Filling {
  readonly archive: Pack;
  /** Settles when the archive is closed, whatever the reason. */
  readonly closed: Promise<unknown>;
}

async function add({ archive, closed }: Filling, file: LayoutFile, options: AbortOptions): Promise<void> {
  const { name, mode, size, read } = file;
  let done: (error?: Error | null) => void = () => {};
  const written = new Promise<void>((resolve, reject) => {
    done = (error) => (error ? reject(error) : resolve());
  });
  const entry = archive.entry({ name, mode, size, mtime: EPOCH }, done) as unknown as NodeJS.WritableStream;
  // An error ends the archive itself; those that wait here hear of it by its closing.
  written.catch(() => {});
  entry.on("error", () => {});
  for await (const chunk of read(options)) {
    if (!entry.write(chunk)) await Promise.race([once(entry, "drain"), closed]);
    if (archive.destroyed) return;
  }
  entry.end();
  await Promise.race([written, closed]);
}

/** `a/b/c` lies in `a` and `a/b`. */
function parentsOf(name: string): readonly string[] {
  const parts = name.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
}
