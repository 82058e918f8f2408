import { type Distribution, type FoundPackage, paragraphs, type TextReader } from "./package.js";

/** os-release(5), where distributions keep it. */
export const OS_RELEASE_PATTERN = "^(?:etc|usr/lib)/os-release$";

/** Reads os-release(5); undefined where it names no distribution. */
export function parseOsRelease(text: string): Distribution | undefined {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, key, quoted, plain] = /^([A-Z_]+)=(?:["'](.*)["']|(.*))\s*$/.exec(line) ?? [];
    if (key !== undefined) values.set(key, quoted ?? plain ?? "");
  }
  const id = values.get("ID");
  if (!id) return undefined;
  return { id, versionId: values.get("VERSION_ID") ?? "", name: values.get("PRETTY_NAME") ?? id };
}

/** The database of dpkg, and the files that images without dpkg have in its place. */
export const dpkg: TextReader = {
  pattern: "^var/lib/dpkg/(?:status|status\\.d/[^/]+)$",
  read: ({ path, text }, distribution) =>
    paragraphs(text).flatMap((fields): readonly FoundPackage[] => {
      const [name, version, architecture] = [fields.get("Package"), fields.get("Version"), fields.get("Architecture")];
      const status = fields.get("Status");
      // A package that was removed keeps its paragraph.
      if (!name || !version || (status !== undefined && !/\binstalled$/.test(status))) return [];
      const namespace = distribution?.id ?? "debian";
      const [, source = fields.get("Source")] = /^(\S+)/.exec(fields.get("Source") ?? "") ?? [];
      return [
        {
          type: "deb",
          namespace,
          name,
          version,
          qualifiers: { arch: architecture, distro: distroOf(distribution), upstream: source },
          source: path,
        },
      ];
    }),
};

/** apk's database: one letter a field, a blank line between packages. */
export const apk: TextReader = {
  pattern: "^(?:usr/)?lib/apk/db/installed$",
  read: ({ path, text }, distribution) =>
    text.split(/\n{2,}/).flatMap((paragraph): readonly FoundPackage[] => {
      const fields = new Map(
        paragraph.split("\n").flatMap((line) => (line[1] === ":" ? [[line[0] ?? "", line.slice(2)] as const] : [])),
      );
      const [name, version] = [fields.get("P"), fields.get("V")];
      if (!name || !version) return [];
      const origin = fields.get("o");
      return [
        {
          type: "apk",
          namespace: distribution?.id ?? "alpine",
          name,
          version,
          qualifiers: {
            arch: fields.get("A"),
            distro: distroOf(distribution),
            upstream: origin === name ? undefined : origin,
          },
          license: fields.get("L"),
          source: path,
        },
      ];
    }),
};

/** `debian-12` */
function distroOf(distribution: Distribution | undefined): string | undefined {
  if (!distribution) return undefined;
  return distribution.versionId === "" ? distribution.id : `${distribution.id}-${distribution.versionId}`;
}

export const systemReaders: readonly TextReader[] = [dpkg, apk];
