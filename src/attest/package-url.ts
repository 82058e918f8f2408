import {
  familiarRepositoryName,
  formatPlatform,
  normalizePlatform,
  type Platform,
  parseReference,
  withDefaultTag,
} from "../oci/index.js";

/** What a package URL is made of (package-url/purl-spec). */
export interface PackageUrl {
  /** `docker`, `deb`, `npm` */
  readonly type: string;
  /** With slashes between its parts. */
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version?: string | undefined;
  readonly qualifiers?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Writes a package URL; qualifiers are sorted, those without a value left out. */
export function formatPackageUrl({ type, namespace, name, version, qualifiers = {} }: PackageUrl): string {
  const parts = [...(namespace ?? "").split("/"), name].filter((part) => part !== "").map(encoded);
  const given = Object.entries(qualifiers)
    .filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encoded(value)}`);
  const at = version === undefined || version === "" ? "" : `@${encoded(version)}`;
  return `pkg:${type}/${parts.join("/")}${at}${given.length > 0 ? `?${given.join("&")}` : ""}`;
}

/** The package URL of the image REFERENCE; TYPE is `oci` for one that is in no registry. Throws `invalid` for a malformed reference. */
export function imagePackageUrl(
  reference: string,
  platform: Platform | undefined,
  type: "docker" | "oci" = "docker",
): string {
  const parsed = parseReference(reference);
  const named = parsed.digest === undefined ? withDefaultTag(parsed) : parsed;
  const path = familiarRepositoryName(named).split("/");
  return formatPackageUrl({
    type,
    namespace: path.slice(0, -1).join("/"),
    name: path.at(-1) ?? "",
    version: named.tag,
    qualifiers: {
      digest: named.digest,
      platform: platform && formatPlatform(normalizePlatform(platform)),
    },
  });
}

/** Colons stay, as others write them. Half a character is none: there is no code for it. */
function encoded(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"))
    .replaceAll("%3A", ":")
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
