import fs from "node:fs";
import { EngineError } from "../../base/index.js";
import { createTarParser, type TarHandler } from "../../tar/index.js";
import { Extractor } from "./archive-extract.js";
import { type BytePath, toText } from "./bytes.js";
import type { JobContext } from "./context.js";
import { decompressed, detectCompression } from "./decompress.js";
import { shown } from "./file-errors.js";
import type { Ids, Target } from "./file-target.js";
import type { FileView } from "./file-view.js";
import { Root } from "./root.js";

export interface Unpacking {
  readonly view: FileView;
  /** The plain path of a regular file in the source. */
  readonly archive: BytePath;
  readonly target: Target;
  /** The owner of all that is unpacked instead of the archive's. */
  readonly owner: Ids | undefined;
}

/**
 * Unpacks the file if it is an archive, by its content whatever its name: plain or compressed tar whose first header is in order.
 * DESTINATION is called only then, and makes and gives the directory to unpack into, which is "/" to every name and link of the archive.
 */
export async function unpackArchive(
  { view, archive, target, owner }: Unpacking,
  context: JobContext,
  destination: () => BytePath,
): Promise<boolean> {
  if (!(await withArchive(view, archive, isArchive))) return false;
  using root = Root.open(toText(target.at(destination())));
  const extractor = new Extractor(owner);
  const parser = createTarParser(extractor);
  await withArchive(view, archive, async (chunks) => {
    try {
      for await (const chunk of chunks) {
        context.checkCanceled();
        root.enter(() => parser.write(chunk));
      }
      parser.end();
    } finally {
      extractor.close();
    }
  });
  root.enter(() => extractor.finish());
  return true;
}

/** An entry is proof enough; anything wrong before it, compression included, means that it is no archive. */
async function isArchive(chunks: AsyncIterable<Buffer>): Promise<boolean> {
  let found = false;
  const finder: TarHandler = {
    entry() {
      found = true;
      throw FOUND;
    },
    body() {},
    hole() {},
    entryEnd() {},
  };
  const parser = createTarParser(finder);
  try {
    for await (const chunk of chunks) parser.write(chunk);
  } catch (error) {
    if (error instanceof EngineError && error.code !== "invalid") throw error;
  }
  return found;
}

const FOUND = new EngineError("invalid", "an entry was found");

async function withArchive<T>(
  view: FileView,
  archive: BytePath,
  work: (chunks: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const fd = view.open(archive);
  try {
    return await work(decompressed({ fd, compression: detectCompression(fd), name: shown(archive) }));
  } finally {
    fs.closeSync(fd);
  }
}
