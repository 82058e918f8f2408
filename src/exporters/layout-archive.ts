import type { AbortOptions } from "../base/index.js";
import type { Bytes } from "../oci/index.js";
import { END_OF_ARCHIVE, encodeHeader, paddingOf } from "../tar/index.js";
import type { LayoutFile } from "./layout-files.js";

/** FILES and the directories they are in as a tar archive, sorted by name and dated 1970: the same files are the same bytes. */
export async function* layoutArchive(files: readonly LayoutFile[], options: AbortOptions): Bytes {
  const names = new Set(files.flatMap(({ name }) => parentsOf(name)));
  const directories = [...names].map((name) => ({ name: `${name}/`, file: undefined }));
  const entries = [...directories, ...files.map((file) => ({ name: file.name, file }))];
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const { name, file } of entries) {
    if (file === undefined) {
      yield encodeHeader({ name, type: "directory", mode: 0o755 });
      continue;
    }
    yield encodeHeader({ name, type: "file", mode: file.mode, size: file.size });
    yield* file.read(options);
    yield END_OF_ARCHIVE.subarray(0, paddingOf(file.size));
  }
  yield END_OF_ARCHIVE;
}

/** `a/b/c` lies in `a` and `a/b`. */
function parentsOf(name: string): readonly string[] {
  const parts = name.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
}
