import { EngineError } from "../../base/index.js";
import type { CopyInstruction } from "./ast.js";
import { type GitSource, parseGitSource } from "./git-source.js";
import { isHttpAddress } from "./http-source.js";

/** What a source of COPY or ADD, its variables expanded, names. */
export type CopySource =
  | { readonly kind: "git"; readonly git: GitSource }
  | { readonly kind: "http" }
  | { readonly kind: "local" };

/** Reads SOURCE. Throws `invalid` where an address of git means nothing. */
export function readCopySource(source: string): CopySource {
  const git = parseGitSource(source);
  if (git !== undefined) return { kind: "git", git };
  return { kind: isHttpAddress(source) ? "http" : "local" };
}

/** Whether SOURCE names something in a context, a stage or an image. */
export function isLocal(source: string): boolean {
  return readCopySource(source).kind === "local";
}

/** What SOURCE names. Throws `invalid` where COPY would have to download it: only ADD does. */
export function refuseDownload(kind: CopyInstruction["kind"], source: string): CopySource {
  const read = readCopySource(source);
  if (kind === "add" || read.kind === "local") return read;
  const what = read.kind === "git" ? "a git ref" : "a URL";
  throw new EngineError("invalid", `source can't be ${what} for COPY`);
}

/** Throws `invalid` unless SOURCES, to which a checksum is given, are one that has it. */
export function refuseChecksum([source, ...others]: readonly string[]): void {
  if (source === undefined || others.length > 0) throw invalidChecksum("can't be specified for multiple sources");
  if (isLocal(source)) throw invalidChecksum("requires HTTP(S) or Git sources");
}

function invalidChecksum(problem: string): EngineError {
  return new EngineError("invalid", `checksum ${problem}`);
}
