import { type Digest, digestOf } from "../base/index.js";

/**
 * A selection as directories that name each other by digest, so that what two selections share is kept once and what differs between them is
 * found without looking at the rest. It holds what a content digest is made of; paths are those from the source's root.
 */
export interface ContentTree {
  readonly root: Digest;
  /** Every directory, and every part of a large one, once, each behind those in it. */
  readonly directories: readonly TreeDirectory[];
}

export interface TreeDirectory {
  readonly digest: Digest;
  /** The JSON of a `TreeListing`. Its digest is `digest`. */
  readonly text: string;
  /** The digests of the directories, or the parts, in it. */
  readonly below: readonly Digest[];
}

/**
 * What is in a directory, in byte order of the names. A large one is split by its names: so one file that changes in it makes a few small
 * texts, not another one of all. Each part is a listing itself, and has the entries whose hash ends in the digit that is its place.
 */
export type TreeListing = readonly TreeEntry[] | { readonly split: readonly (Digest | null)[] };

/**
 * Name (one character per byte), kind, mode (octal; where a copy makes another one of it, that and the file's own), owner (`uid:gid`), what its kind adds, and a mark of the extended attributes, empty
 * for none. Mode and owner are empty where they don't count. A directory adds the digest of what is in it, a file its size and a mark of
 * its content, a link its target. A link that is only followed on the way to what is selected is a `way`.
 */
export type TreeEntry = readonly [
  name: string,
  kind: string,
  mode: string,
  owner: string,
  detail: string,
  attributes: string,
];

/** So many hex digits tell contents apart. */
export const MARK_DIGITS = 32;

/** What is known of an entry but its name. */
export type Traits = readonly [kind: string, mode: string, owner: string, detail: string, attributes: string];

/** Takes the entries of a selection, in any order, and gives its tree. Directories above what is selected have no traits. */
export class TreeSketch {
  readonly #root: Directory = { traits: undefined, entries: new Map() };

  /** PATH: names joined by `/`; "" is the root. */
  add(path: string, traits: Traits): void {
    const names = path === "" ? [] : path.split("/");
    const isDirectory = traits[0] === "dir";
    const parent = names.slice(0, isDirectory ? undefined : -1).reduce(entered, this.#root);
    if (isDirectory) parent.traits = traits;
    else parent.entries.set(names.at(-1) ?? "", traits);
  }

  finish(): ContentTree {
    const directories = new Map<Digest, TreeDirectory>();
    const open = [{ directory: this.#root, waits: true }];
    const done = new Map<Directory, Digest>();
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (top.waits) {
        top.waits = false;
        for (const entry of top.directory.entries.values())
          if (isDirectory(entry)) open.push({ directory: entry, waits: true });
        continue;
      }
      open.pop();
      const written = writtenOf(top.directory, done, directories);
      done.set(top.directory, written);
    }
    return { root: digestIn(done, this.#root), directories: [...directories.values()] };
  }
}

interface Directory {
  traits: Traits | undefined;
  readonly entries: Map<string, Directory | Traits>;
}

const NO_TRAITS: Traits = ["dir", "", "", "", ""];

function isDirectory(entry: Directory | Traits): entry is Directory {
  return !Array.isArray(entry);
}

function entered(parent: Directory, name: string): Directory {
  const known = parent.entries.get(name);
  if (known !== undefined && isDirectory(known)) return known;
  const made: Directory = { traits: undefined, entries: new Map() };
  parent.entries.set(name, made);
  return made;
}

type Written = Map<Digest, TreeDirectory>;

function writtenOf(directory: Directory, done: ReadonlyMap<Directory, Digest>, written: Written): Digest {
  const entries = [...directory.entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = entries.map(([name, entry]): TreeEntry => {
    if (!isDirectory(entry)) return [name, ...entry];
    const [kind, mode, owner, , attributes] = entry.traits ?? NO_TRAITS;
    return [name, kind, mode, owner, digestIn(done, entry), attributes];
  });
  return listed(rows, 0, written);
}

/** A list of more entries than these is split. */
const ENTRIES_MAX = 64;
/** Into so many parts, by so many bits of a hash of the names. */
const PARTS = 16;
const PART_BITS = 4;
const HASH_BITS = 32;

/** Writes ROWS, which equal each other in the last DEPTH digits of their hashes, as one list or in parts. */
function listed(rows: readonly TreeEntry[], depth: number, written: Written): Digest {
  if (rows.length <= ENTRIES_MAX || depth * PART_BITS >= HASH_BITS) {
    const below = rows.flatMap((row) => (row[1] === "dir" ? [row[4] as Digest] : []));
    return write(JSON.stringify(rows), below, written);
  }
  const parts: TreeEntry[][] = Array.from({ length: PARTS }, () => []);
  for (const row of rows) parts[(hashOf(row[0]) >>> (depth * PART_BITS)) % PARTS]?.push(row);
  const split = parts.map((part) => (part.length === 0 ? null : listed(part, depth + 1, written)));
  return write(
    JSON.stringify({ split }),
    split.flatMap((digest) => digest ?? []),
    written,
  );
}

function write(text: string, below: readonly Digest[], written: Written): Digest {
  const digest = digestOf(text);
  written.set(digest, { digest, text, below });
  return digest;
}

/** FNV-1a: names are spread evenly, and if somebody chooses them so that they are not, a list is longer. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function digestIn(done: ReadonlyMap<Directory, Digest>, directory: Directory): Digest {
  const digest = done.get(directory);
  if (digest === undefined) throw new TypeError("a directory comes before what is in it");
  return digest;
}
