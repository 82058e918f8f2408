import { stat } from "node:fs/promises";
import path from "node:path";
import { type AbortOptions, EngineError, errorCode, makeDirectories, messageOf } from "../base/index.js";
import {
  type Descriptor,
  IMAGE_NAME_ANNOTATION,
  openLayout,
  REF_NAME_ANNOTATION,
  withLayoutLock,
} from "../oci/index.js";
import { writeTo } from "./destination.js";
import { indexFile, type LayoutFile, layoutMarker } from "./layout-files.js";

/**
 * Adds an image to the layout in DIRECTORY, which is made where it is missing: first its BLOBS, at the end the ENTRIES of the index, which
 * take the place of others with the same names. Gives the bytes written.
 */
export async function addToLayout(
  directory: string,
  image: { readonly blobs: readonly LayoutFile[]; readonly entries: readonly Descriptor[] },
  options: AbortOptions,
): Promise<number> {
  await entriesOf(directory, options); // what can't be added to is refused before anything is written
  let bytes = 0;
  for (const file of [...image.blobs, layoutMarker()])
    if (!(await isThere(directory, file))) bytes += await write(directory, file, options);
  const index = async () => {
    const existing = await entriesOf(directory, options);
    const kept = existing.filter((old) => !image.entries.some((entry) => isNamedAlike(old, entry)));
    return write(directory, indexFile([...kept, ...image.entries]), options);
  };
  return bytes + (await withLayoutLock(directory, index, options));
}

async function entriesOf(directory: string, options: AbortOptions): Promise<readonly Descriptor[]> {
  try {
    makeDirectories(directory);
    return (await openLayout(directory, options)).index.manifests;
  } catch (cause) {
    if (errorCode(cause) === "not-found") return [];
    if (cause instanceof EngineError) throw cause;
    throw new EngineError(errorCode(cause), `writing ${directory}: ${messageOf(cause)}`, { cause });
  }
}

function isNamedAlike(a: Descriptor, b: Descriptor): boolean {
  return [IMAGE_NAME_ANNOTATION, REF_NAME_ANNOTATION].every((name) => a.annotations?.[name] === b.annotations?.[name]);
}

/** Blobs are named by their content. */
async function isThere(directory: string, file: LayoutFile): Promise<boolean> {
  try {
    return (await stat(path.join(directory, file.name))).size === file.size;
  } catch (error) {
    if (errorCode(error) === "not-found") return false;
    throw error;
  }
}

function write(directory: string, file: LayoutFile, options: AbortOptions): Promise<number> {
  return writeTo(path.join(directory, file.name), file.read(options), options);
}
