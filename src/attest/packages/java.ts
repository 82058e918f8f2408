import type { BinaryReader, FoundPackage } from "./package.js";
import { type ZipEntry, zipEntries } from "./zip.js";

/** Java's archives, and those inside of them: what Maven has noted in each, else what its manifest or name says. */
export const java: BinaryReader = {
  pattern: "\\.(?:jar|war|ear)$",
  readBytes: ({ path, content }) =>
    packagesOf(content, { path, name: path, depth: 0, budget: { bytes: NESTED_BYTES_MAX } }),
};

/** Archives within archives: a program's, its libraries, theirs. */
const DEPTH_MAX = 2;
/** Bytes of all archives within one. */
const NESTED_BYTES_MAX = 256 * 1024 * 1024;
const NESTED_ONE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of a list of properties or a manifest. */
const TEXT_BYTES_MAX = 1024 * 1024;
/** Lists of properties of one archive; one that holds others' classes has theirs, too. */
const PROPERTIES_MAX = 4096;

interface Archive {
  /** The file of the image. */
  readonly path: string;
  /** Of this archive itself. */
  readonly name: string;
  readonly depth: number;
  readonly budget: { bytes: number };
}

function packagesOf(content: Buffer, archive: Archive): readonly FoundPackage[] {
  const { path, depth, budget } = archive;
  const noted: FoundPackage[] = [];
  const inner: FoundPackage[] = [];
  let manifest: ZipEntry | undefined;
  let properties = 0;
  for (const entry of zipEntries(content)) {
    const { name } = entry;
    if (name === "META-INF/MANIFEST.MF") manifest = entry;
    if (POM_PROPERTIES.test(name) && properties++ < PROPERTIES_MAX) noted.push(...ofProperties(entry, path));
    if (!NESTED.test(name) || depth >= DEPTH_MAX) continue;
    const bytes = entry.read(Math.min(budget.bytes, NESTED_ONE_BYTES_MAX));
    if (bytes === undefined) continue;
    budget.bytes -= bytes.length;
    inner.push(...packagesOf(bytes, { path, name, depth: depth + 1, budget }));
  }
  return [...(noted.length > 0 ? noted : ofManifest(manifest, archive)), ...inner];
}

const POM_PROPERTIES = /^META-INF\/maven\/[^/]+\/[^/]+\/pom\.properties$/;
const NESTED = /\.(?:jar|war)$/;

function ofProperties(entry: ZipEntry, source: string): readonly FoundPackage[] {
  const text = entry.read(TEXT_BYTES_MAX)?.toString("utf8") ?? "";
  const value = (key: string) => new RegExp(`^${key}\\s*[=:]\\s*([^\\s#]+)`, "m").exec(text)?.[1];
  const [namespace, name, version] = [value("groupId"), value("artifactId"), value("version")];
  return namespace && name && version ? [{ type: "maven", namespace, name, version, source }] : [];
}

/** Where Maven has noted nothing the group isn't known. */
function ofManifest(manifest: ZipEntry | undefined, { name, path }: Archive): readonly FoundPackage[] {
  const text = (manifest?.read(TEXT_BYTES_MAX)?.toString("utf8") ?? "").replace(/\r?\n /g, "");
  const value = (key: string) => new RegExp(`^${key}: *(\\S+)`, "m").exec(text)?.[1];
  const [, stem, suffix] = /([^/]+?)(?:-(\d[^/]*))?\.(?:jar|war|ear)$/.exec(name) ?? [];
  const version = suffix ?? value("Implementation-Version") ?? value("Bundle-Version");
  return stem && version ? [{ type: "maven", name: stem, version, source: path }] : [];
}
