import { deviceNumbers, EngineError } from "../../base/index.js";
import type { TarEntryType, TarHeader } from "../../tar/index.js";
import { type BytePath, toText } from "./bytes.js";
import { readLink } from "./layer-compare.js";
import type { FileKind, FileStat } from "./layer-stat.js";

/** The tar header of a file called NAME in the archive, its time to the nanosecond and without attributes. */
export function headerOf(name: BytePath, path: BytePath, stat: FileStat): TarHeader {
  const isDevice = stat.kind === "char" || stat.kind === "block";
  return {
    name: stat.kind === "directory" ? `${name}/` : name,
    type: tarTypeOf(stat.kind, path),
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    mtimeNs: stat.mtimeNs,
    ...(stat.kind === "file" && { size: stat.sizeBytes }),
    ...(stat.kind === "symlink" && { linkName: readLink(path) }),
    ...(isDevice && { device: deviceNumbers(stat.rdev) }),
  };
}

/** Seconds since the epoch as nanoseconds. */
export function wholeSeconds(seconds: number): bigint {
  return BigInt(Math.floor(seconds)) * 1_000_000_000n;
}

function tarTypeOf(kind: FileKind, path: BytePath): TarEntryType {
  if (kind === "whiteout" || kind === "socket")
    throw new EngineError("internal", `a ${kind} has no place in an archive: ${toText(path)}`);
  return kind;
}
