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
    const isKnown = checksum.startsWith("sha256:");
    const message =
      isKnown || !checksum.includes(":") ? "invalid checksum digest format" : "unsupported digest algorithm";
    throw new EngineError("invalid", message);
  }
  const fileName = nameOf(url);
  const attrs = { "http.filename": fileName, ...(checksum === undefined ? {} : { "http.checksum": checksum }) };
  return { op: { kind: "source", identifier: url, attrs }, fileName };
}

const UNNAMED = "__unnamed__";

/** The last part of the path of URL. */
function nameOf(url: string): string {
  const path = /^https?:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? "";
  const name = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  const decoded = unescaped(name);
  return decoded === "" || decoded === "." || decoded === ".." || decoded.includes("/") ? UNNAMED : decoded;
}

function unescaped(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
