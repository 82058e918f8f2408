/**
 * File names are bytes: a "binary string" holds one byte per character (latin1). Cheap to join and compare, and its order is that of
 * the bytes.
 */
export type TarPath = string;

/** What an entry makes. `link` is a hard link. */
export type TarEntryType = "file" | "link" | "symlink" | "char" | "block" | "directory" | "fifo";

/** What is to be written of an entry; what is absent is empty or zero. */
export interface TarHeader {
  /** As it stands in the archive: a directory's ends in a slash. */
  readonly name: TarPath;
  readonly type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Bytes of content; only files have any. */
  readonly size?: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs?: bigint;
  /** The target of a link or symlink. */
  readonly linkName?: TarPath;
  readonly userName?: TarPath;
  readonly groupName?: TarPath;
  /** Numbers of a char or block device. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** By name (`security.capability`), as bytes. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

/** An entry that was read. SIZE is that of the file it makes: holes of a sparse one count. */
export type TarEntry = Required<TarHeader>;

/** How PAX records name an extended attribute. */
export const XATTR_RECORD_PREFIX = "SCHILY.xattr.";

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

/** HEADER with everything that is absent filled in. Only files have a size, only devices have numbers. */
export function completeHeader(header: TarHeader): TarEntry {
  const isDevice = header.type === "char" || header.type === "block";
  return {
    name: header.name,
    type: header.type,
    mode: header.mode,
    uid: header.uid ?? 0,
    gid: header.gid ?? 0,
    size: header.type === "file" ? (header.size ?? 0) : 0,
    mtimeNs: header.mtimeNs ?? 0n,
    linkName: header.linkName ?? "",
    userName: header.userName ?? "",
    groupName: header.groupName ?? "",
    device: (isDevice ? header.device : undefined) ?? { major: 0, minor: 0 },
    xattrs: header.xattrs ?? NO_XATTRS,
  };
}
