import type { BinaryReader, Distribution, FoundPackage } from "../package.js";
import { bdbBlobs } from "./bdb.js";
import { parseRpmHeader } from "./header.js";
import { ndbBlobs } from "./ndb.js";
import { sqliteBlobs } from "./sqlite.js";

/** rpm's database, in each of the three forms that it has had. */
export const rpm: BinaryReader = {
  pattern: "^(?:var/lib|usr/lib/sysimage|usr/share)/rpm/(?:Packages|Packages\\.db|rpmdb\\.sqlite)$",
  readBytes: ({ path, content }, distribution) =>
    [...blobsOf(path, content)].flatMap((blob): readonly FoundPackage[] => packageOf(blob, path, distribution)),
};

function blobsOf(path: string, content: Buffer): Iterable<Buffer> {
  if (path.endsWith(".sqlite")) return sqliteBlobs(content, "Packages");
  return path.endsWith(".db") ? ndbBlobs(content) : bdbBlobs(content);
}

/** What rpm calls the keys that it trusts, which stand among the packages. */
const PUBLIC_KEY = "gpg-pubkey";

function packageOf(blob: Buffer, path: string, distribution: Distribution | undefined): readonly FoundPackage[] {
  const header = parseRpmHeader(blob);
  if (header === undefined || header.name === PUBLIC_KEY) return [];
  const { name, version, release, epoch, architecture, license, source } = header;
  const suffix = distribution?.versionId ? `-${distribution.versionId}` : "";
  return [
    {
      type: "rpm",
      namespace: distribution?.id ?? "",
      name,
      version: `${version}-${release}`,
      qualifiers: {
        arch: architecture,
        distro: distribution && `${distribution.id}${suffix}`,
        epoch: epoch === undefined || epoch === 0 ? undefined : String(epoch),
        upstream: source,
      },
      license,
      source: path,
    },
  ];
}
