import fs from "node:fs";
import path from "node:path";
import * as v from "valibot";
import { describeIssue, EngineError, errorCode, messageOf } from "../base/index.js";
import {
  type Descriptor,
  encodeDescriptor,
  formatReference,
  isManifestType,
  MANIFEST_BYTES_MAX,
  MediaType,
  parseDescriptor,
  parseReference,
  type Reference,
} from "../oci/index.js";

/** A manifest that was picked for a list that is to be. */
export interface ListEntry {
  readonly reference: Reference;
  /** With the platform that the list will say. */
  readonly descriptor: Descriptor;
  /** The manifest's own bytes. */
  readonly raw: Buffer;
}

/** Lists that are not in a registry yet, kept as docker's `manifest` command keeps them: a directory each, a file per manifest. */
export interface ManifestListStore {
  /** By their names, as docker orders them; undefined where there is no such list. Errors: `invalid` for files that can't be read. */
  get(list: Reference): readonly ListEntry[] | undefined;
  /** Takes a manifest into a list, or puts it in the place of what had its name. */
  put(list: Reference, entry: ListEntry): void;
  remove(list: Reference): void;
}

/** The lists in DIRECTORY, which need not exist. */
export function createManifestListStore(directory: string): ManifestListStore {
  const place = (list: Reference): string => path.join(directory, fileName(list));
  return {
    get(list) {
      const names = entriesOf(place(list));
      return names?.map((name) => readEntry(path.join(place(list), name)));
    },
    put(list, entry) {
      const target = path.join(place(list), fileName(entry.reference));
      fs.mkdirSync(place(list), { recursive: true, mode: 0o755 });
      const made = `${target}.tmp`;
      fs.writeFileSync(made, describeListEntry(entry), { mode: 0o644 });
      fs.renameSync(made, target);
    },
    remove: (list) => fs.rmSync(place(list), { recursive: true, force: true }),
  };
}

/** An entry as docker keeps it, and shows it: JSON. */
export function describeListEntry({ reference, descriptor, raw }: ListEntry): string {
  const member = descriptor.mediaType === MediaType.dockerManifest ? "SchemaV2Manifest" : "OCIManifest";
  const head = `{"Ref":${JSON.stringify(formatReference(reference))},"Descriptor":${encodeDescriptor(descriptor)}`;
  return `${head},"Raw":"${raw.toString("base64")}","${member}":${compactJson(raw.toString())}}`;
}

/** As Go's encoder writes a document within another one: without blanks, and with `<`, `>` and `&` escaped. */
function compactJson(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|\s+/g, (token) =>
    token.startsWith('"') ? token.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`) : "",
  );
}

/** Manifests of one list. */
const ENTRIES_MAX = 4096;
/** The manifest is there twice, once in base64. */
const ENTRY_BYTES_MAX = 3 * MANIFEST_BYTES_MAX;

/** Docker's spelling: a slash becomes `_`, a colon `-`. */
function fileName(reference: Reference): string {
  return formatReference(reference).replaceAll(":", "-").replaceAll("/", "_");
}

function entriesOf(directory: string): readonly string[] | undefined {
  try {
    const names = fs.readdirSync(directory).filter((name) => !name.endsWith(".tmp"));
    if (names.length > ENTRIES_MAX) throw new EngineError("invalid", `${directory} has more than ${ENTRIES_MAX} files`);
    return names.sort();
  } catch (error) {
    if (errorCode(error) === "not-found") return undefined;
    throw error;
  }
}

const entrySchema = v.object({
  Ref: v.string(),
  Descriptor: v.unknown(),
  Raw: v.optional(v.string()),
  SchemaV2Manifest: v.optional(v.unknown()),
  OCIManifest: v.optional(v.unknown()),
});

function readEntry(file: string): ListEntry {
  try {
    const stat = fs.statSync(file);
    if (!stat.isFile() || stat.size > ENTRY_BYTES_MAX)
      throw new EngineError("invalid", `not a regular file of at most ${ENTRY_BYTES_MAX} bytes`);
    const entry = v.parse(entrySchema, JSON.parse(fs.readFileSync(file, "utf8")));
    const descriptor = parseDescriptor(JSON.stringify(entry.Descriptor));
    if (!isManifestType(descriptor.mediaType))
      throw new EngineError("invalid", `${descriptor.mediaType} is no manifest's type`);
    const written = JSON.stringify(entry.SchemaV2Manifest ?? entry.OCIManifest ?? null);
    const raw = entry.Raw === undefined ? Buffer.from(written) : Buffer.from(entry.Raw, "base64");
    return { reference: parseReference(entry.Ref), descriptor, raw };
  } catch (cause) {
    const wrong = v.isValiError(cause) ? describeIssue(cause.issues[0]) : messageOf(cause);
    throw new EngineError("invalid", `the manifest in ${file} can't be read: ${wrong}`, { cause });
  }
}
