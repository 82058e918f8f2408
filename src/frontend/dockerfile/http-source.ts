import { EngineError, isDigest } from "../../base/index.js";
import type { SourceOp } from "../../llb/index.js";

/** A file that ADD downloads: its source, and its name in what the source gives. */
export interface HttpSource {
  readonly op: SourceOp;
  readonly fileName: string;
}

/** Whether TEXT names something to download. An address of git does so too, and is to be tried first. */
export function isHttpAddress(text: string): boolean {
  return text.startsWith("http://") || text.startsWith("https://");
}

/** The source of URL. Throws `invalid` where CHECKSUM, if there is one, is no digest. */
export function httpSource(url: string, checksum: string | undefined): HttpSource {
  if (checksum !== undefined && !isDigest(checksum)) {
    throw new EngineError("invalid", checksumProblem(checksum));
  }
  const fileName = nameOf(url);
  const attrs = { "http.filename": fileName, ...(checksum === undefined ? {} : { "http.checksum": checksum }) };
  return { op: { kind: "source", identifier: url, attrs }, fileName };
}

function checksumProblem(checksum: string): string {
  const [, algorithm, encoded = ""] = /^([^:]+):(.+)$/s.exec(checksum) ?? [];
  if (algorithm === "sha256")
    return `invalid checksum digest ${encoded.length === SHA256_HEX_LENGTH ? "format" : "length"}`;
  return algorithm === undefined ? "invalid checksum digest format" : "unsupported digest algorithm";
}

const SHA256_HEX_LENGTH = 64;
const UNNAMED = "__unnamed__";

/** The last part of the path of URL. */
function nameOf(url: string): string {
  const path = decoded(/^https?:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? "");
  const name = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  return name === "" || name === "." || name === ".." || name.includes("\0") ? UNNAMED : name;
}

/** PATH without its percent signs; empty where they mean nothing. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}
