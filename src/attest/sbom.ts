import { createHash } from "node:crypto";
import { type Digest, digestOf, hexOf } from "../base/index.js";
import type { Layer } from "../oci/index.js";
import type { Attestation } from "./attestation.js";
import type { SbomOptions } from "./options.js";
import { formatPackageUrl } from "./package-url.js";
import { goModules } from "./packages/go.js";
import { java } from "./packages/java.js";
import { javascriptReaders } from "./packages/javascript.js";
import { languageReaders } from "./packages/languages.js";
import { lockReaders } from "./packages/locks.js";
import type { Distribution, FoundPackage, PackageReader } from "./packages/package.js";
import { rpm } from "./packages/rpm/rpm.js";
import { OS_RELEASE_PATTERN, parseOsRelease, systemReaders } from "./packages/system.js";

/** A file of an image that may tell of packages. */
export interface SbomFile {
  readonly path: string;
  readonly content: Uint8Array;
  /** The place of the layer that it is from, bottom first. */
  readonly layer: number;
}

/** A program of Go's, and what it says of itself. */
export interface SbomProgram extends Omit<SbomFile, "content"> {
  readonly buildInfo: Uint8Array;
  /** Of the program; SHA-1 in hexadecimal digits. */
  readonly digest: Digest;
  readonly sha1: string;
}

/** What was looked at. */
export interface SbomInput {
  readonly files: readonly SbomFile[];
  readonly programs?: readonly SbomProgram[] | undefined;
  /** Files that were too large to be looked into. */
  readonly leftOut: readonly string[];
  /** What the document is called: the image's name. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Regular expressions of the paths of files that a bill of materials is made from. */
export function sbomPatterns(): readonly string[] {
  return [OS_RELEASE_PATTERN, ...readers().map(({ pattern }) => pattern)];
}

/**
 * What an image holds, as an SPDX 2.3 document: the packages of its distribution, and those that lock files and installed packages of
 * languages name. Equal images made at one time give equal documents.
 */
export function sbom(input: SbomInput, { fileName }: SbomOptions): Attestation {
  return {
    fileName,
    inlineOnly: false,
    predicateType: "https://spdx.dev/Document",
    predicate: (layers) => documentOf(input, packagesIn(input), layers),
  };
}

/** The packages that FILES tell of, each once a file. */
export function packagesIn({ files, programs = [] }: Pick<SbomInput, "files" | "programs">): readonly FoundPackage[] {
  const distribution = distributionOf(files);
  const known = readers().map((reader) => ({ reader, pattern: new RegExp(reader.pattern) }));
  const found = new Map<string, FoundPackage>();
  const add = (each: FoundPackage): void => {
    const key = JSON.stringify([urlOf(each), each.source]);
    if (found.size < PACKAGES_MAX && !found.has(key)) found.set(key, each);
  };
  for (const { path, buildInfo } of programs) goModules(Buffer.from(buildInfo).toString("utf8"), path).forEach(add);
  for (const { path, content } of files) {
    const concerned = known.filter(({ pattern }) => pattern.test(path));
    if (concerned.length === 0) continue;
    for (const { reader } of concerned) readWith(reader, { path, content }, distribution).forEach(add);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

function readWith(
  reader: PackageReader,
  { path, content }: Pick<SbomFile, "path" | "content">,
  distribution: Distribution | undefined,
): readonly FoundPackage[] {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if ("readBytes" in reader) return reader.readBytes({ path, content: bytes }, distribution);
  return reader.read({ path, text: bytes.toString("utf8") }, distribution);
}

/** More packages are not listed: the image is a stranger's. */
const PACKAGES_MAX = 100_000;

function readers(): readonly PackageReader[] {
  return [...systemReaders, rpm, ...javascriptReaders, ...languageReaders, ...lockReaders, java];
}

function distributionOf(files: readonly SbomFile[]): Distribution | undefined {
  const pattern = new RegExp(OS_RELEASE_PATTERN);
  const texts = files
    .filter(({ path }) => pattern.test(path))
    .map(({ content }) => Buffer.from(content).toString("utf8"));
  return texts.map(parseOsRelease).find((each) => each !== undefined);
}

function urlOf({ type, namespace, name, version, qualifiers }: FoundPackage): string {
  return formatPackageUrl({ type, namespace, name, version, qualifiers });
}

const DOCUMENT_ID = "SPDXRef-DOCUMENT";
const ROOT_ID = "SPDXRef-DocumentRoot-Image";
const NAMESPACE = "https://ashlar.invalid/sbom/";

function documentOf(
  { files, programs = [], name, createdAt, leftOut }: SbomInput,
  packages: readonly FoundPackage[],
  layers: readonly Layer[],
): object {
  const sources = [...new Set(packages.map(({ source }) => source))].sort();
  const fileIds = new Map(sources.map((source) => [source, `SPDXRef-File-${shortId(source)}`] as const));
  const told = [...programs, ...files.filter(({ path }) => fileIds.has(path)).map(hashed)];
  const evidence = [...new Map(told.map((file) => [file.path, file] as const)).values()].filter(({ path }) =>
    fileIds.has(path),
  );
  const described = packages.map((each) => ({ id: packageId(each), package: each }));
  const identity = digestOf(JSON.stringify([name, described.map(({ id }) => id), layers.map(({ diffId }) => diffId)]));
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: DOCUMENT_ID,
    name,
    documentNamespace: `${NAMESPACE}${hexOf(identity)}`,
    creationInfo: { creators: ["Tool: ashlar"], created: new Date(createdAt).toISOString().replace(/\.\d+Z$/, "Z") },
    ...(leftOut.length > 0 ? { comment: `too large to be looked into: ${leftOut.join(", ")}` } : {}),
    packages: [rootPackage(name), ...described.map(({ id, package: each }) => packageOf(id, each))],
    files: evidence.map((file) => fileOf(file, fileIds.get(file.path) ?? "", layers[file.layer])),
    relationships: [
      { spdxElementId: DOCUMENT_ID, relatedSpdxElement: ROOT_ID, relationshipType: "DESCRIBES" },
      ...described.map(({ id }) => ({
        spdxElementId: ROOT_ID,
        relatedSpdxElement: id,
        relationshipType: "CONTAINS",
      })),
      ...described.map(({ id, package: { source } }) => ({
        spdxElementId: id,
        relatedSpdxElement: fileIds.get(source),
        relationshipType: "OTHER",
        comment: "evident-by: indicates the package's existence is evident by the given file",
      })),
    ],
  };
}

function rootPackage(name: string): object {
  return {
    SPDXID: ROOT_ID,
    name,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    primaryPackagePurpose: "CONTAINER",
  };
}

/** Package types whose namespace is the distribution. */
const SYSTEM_TYPES: ReadonlySet<string> = new Set(["deb", "apk", "rpm"]);

function packageOf(id: string, each: FoundPackage): object {
  const { name, namespace, version, source, license } = each;
  return {
    SPDXID: id,
    name: namespace !== undefined && !SYSTEM_TYPES.has(each.type) ? `${namespace}/${name}` : name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    sourceInfo: `acquired package info from: /${source}`,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: declared(license),
    copyrightText: "NOASSERTION",
    externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: urlOf(each) }],
  };
}

/** Only what is plainly an expression of SPDX: other texts would make the document invalid. */
function declared(license: string | undefined): string {
  const isKnown = license?.split(/ (?:AND|OR) /).every((each) => KNOWN_LICENSE.test(each));
  return isKnown ? (license ?? "") : "NOASSERTION";
}

/** The common ones of SPDX's list: a name that isn't on it can't be told from one that is. */
const KNOWN_LICENSE =
  /^(?:MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0|Zlib|Unlicense|CC0-1\.0|MPL-2\.0|PSF-2\.0|Python-2\.0|OpenSSL|curl|(?:A?GPL-[123]\.0|LGPL-(?:2\.[01]|3\.0))-(?:only|or-later))$/;

type HashedFile = Pick<SbomProgram, "path" | "layer" | "digest" | "sha1">;

function hashed({ path, layer, content }: SbomFile): HashedFile {
  return { path, layer, digest: digestOf(content), sha1: createHash("sha1").update(content).digest("hex") };
}

/** SPDX wants a SHA-1 of each file. */
function fileOf({ path, digest, sha1 }: HashedFile, id: string, layer: Layer | undefined): object {
  return {
    SPDXID: id,
    fileName: `/${path}`,
    checksums: [
      { algorithm: "SHA1", checksumValue: sha1 },
      { algorithm: "SHA256", checksumValue: hexOf(digest) },
    ],
    licenseConcluded: "NOASSERTION",
    copyrightText: "NOASSERTION",
    ...(layer === undefined ? {} : { comment: `layerID: ${layer.descriptor.digest}` }),
  };
}

function packageId(each: FoundPackage): string {
  const readable = `${each.type}-${each.name}`.replace(/[^A-Za-z0-9.-]/g, "-");
  return `SPDXRef-Package-${readable}-${shortId(JSON.stringify([urlOf(each), each.source]))}`;
}

/** Of a digest: enough to tell the parts of one document apart. */
const SHORT_ID_DIGITS = 16;

function shortId(text: string): string {
  return hexOf(digestOf(text)).slice(0, SHORT_ID_DIGITS);
}
