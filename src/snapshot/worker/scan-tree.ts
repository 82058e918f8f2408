import fs from "node:fs";
import { EngineError, type MatchState, type PatternMatcher, systemClock, systemCode } from "../../base/index.js";
import { type BytePath, fromText, toText } from "./bytes.js";
import type { JobContext } from "./context.js";
import { type Entry, entryOf, isMissing, linkTarget, lstat, native } from "./file-entry.js";
import { fileError, naming, shown } from "./file-errors.js";
import { below } from "./file-paths.js";
import { hashOpenFile } from "./file-read.js";
import { DirectoryHandles } from "./scan-handles.js";
import type { ContextManifest } from "./scan-manifest.js";

/** An entry of the context as far as it has been looked at. */
export interface ScanNode {
  readonly name: BytePath;
  readonly parent: ScanNode | undefined;
  readonly path: BytePath;
  readonly entry: Entry;
  /** Whether a pattern leaves it out; a directory may still show for what an exception keeps below it. */
  readonly excluded: boolean;
  readonly match: MatchState | undefined;
  /** All that lstat(2) said that changes with the content. */
  readonly stamp: string;
  readonly children: Map<BytePath, ScanNode | undefined>;
  /** Whether `children` holds every name. */
  listed?: readonly BytePath[];
  visible?: boolean;
  target?: BytePath;
  sha256?: string;
}

/** What tells a directory from all others. */
export type Identity = Pick<fs.BigIntStats, "dev" | "ino">;

/**
 * A build context as one build sees it: each directory is read and each entry looked at once, when somebody asks. What the patterns
 * leave out is not there. Entries belong to root and have no extended attributes.
 */
export class ContextScan implements Disposable {
  readonly root: ScanNode;
  readonly #matcher: PatternMatcher;
  readonly #manifest: ContextManifest;
  readonly #handles: DirectoryHandles;
  readonly #state: Identity | undefined;

  /** Opens the directory; throws `not-found` or `invalid` where it is none. The directory STATE is never a part of it. */
  constructor(directory: string, matcher: PatternMatcher, manifest: ContextManifest, state: Identity | undefined) {
    this.#matcher = matcher;
    this.#manifest = manifest;
    this.#state = state;
    const at = fromText(directory);
    const fd = naming("open", at, () => fs.openSync(native(at), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY));
    this.root = {
      name: "",
      parent: undefined,
      path: "",
      entry: ROOT_ENTRY,
      excluded: false,
      match: undefined,
      stamp: "",
      children: new Map(),
      visible: true,
    };
    this.#handles = new DirectoryHandles(this.root, fd);
  }

  /** The visible entry at a plain path. */
  find(path: BytePath): ScanNode | undefined {
    let node: ScanNode | undefined = this.root;
    if (path === "") return node;
    for (const name of path.split("/")) {
      node = node.entry.kind === "dir" ? this.#child(node, name) : undefined;
      if (!node) return undefined;
    }
    return this.#isVisible(node) ? node : undefined;
  }

  /** The visible entries in a directory, in byte order of their names. */
  list(node: ScanNode): readonly ScanNode[] {
    return this.#names(node).flatMap((name) => {
      const child = this.#child(node, name);
      return child && this.#isVisible(child) ? [child] : [];
    });
  }

  readLink(node: ScanNode): BytePath {
    node.target ??= this.#on(node, "reading the link", (at) => linkTarget(at));
    return node.target;
  }

  /** Opens a regular file that is still what it was when it was looked at. The caller closes it. */
  open(node: ScanNode): number {
    const fd = this.#on(node, "opening", (at) => fs.openSync(native(at), READ_FLAGS));
    if (stampOf(fs.fstatSync(fd, { bigint: true })) === node.stamp) return fd;
    fs.closeSync(fd);
    throw changed(node.path);
  }

  /** The sha256 of a regular file's content: from the manifest, or read now. */
  sha256(node: ScanNode, context: JobContext): string {
    node.sha256 ??= this.#manifest.find(node.path, node.stamp) ?? this.#hash(node, context);
    return node.sha256;
  }

  /** Throws `changed` where a file's content is not what its digest says, which is then forgotten for good. */
  checkContent(node: ScanNode, readSha256: string): void {
    if (node.sha256 === undefined || node.sha256 === readSha256) return;
    this.#manifest.drop(node.path);
    this.save();
    throw changed(node.path);
  }

  /** Makes what was learned last. */
  save(): void {
    this.#manifest.save((path) => this.#isGone(path));
  }

  [Symbol.dispose](): void {
    this.#handles[Symbol.dispose]();
  }

  #hash(node: ScanNode, context: JobContext): string {
    const startedMs = BigInt(systemClock.now());
    const fd = this.open(node);
    try {
      const sha256 = naming("read", node.path, () => hashOpenFile(fd, context));
      const after = fs.fstatSync(fd, { bigint: true });
      if (stampOf(after) !== node.stamp) throw changed(node.path);
      if (isSettled(after, startedMs)) this.#manifest.keep(node.path, node.stamp, sha256);
      else this.#manifest.drop(node.path);
      return sha256;
    } finally {
      fs.closeSync(fd);
    }
  }

  #names(node: ScanNode): readonly BytePath[] {
    node.listed ??= this.#on(node, "reading the directory", (at) => this.#visibleNames(node, at));
    return node.listed;
  }

  /** Leaves out, before they are looked at, the files that patterns exclude. */
  #visibleNames(node: ScanNode, at: BytePath): BytePath[] {
    const names: BytePath[] = [];
    for (const item of fs.readdirSync(native(at), { withFileTypes: true, encoding: "latin1" })) {
      const path = below(node.path, item.name);
      const known = node.children.get(item.name);
      if (known === undefined && this.#matcher.patterns.length > 0) {
        const { matched } = this.#matcher.step(toText(path), node.match);
        if (matched && !(item.isDirectory() && this.#matcher.mayExceptBelow(toText(path)))) {
          node.children.set(item.name, undefined);
          continue;
        }
      }
      names.push(item.name);
    }
    return names.sort();
  }

  #child(node: ScanNode, name: BytePath): ScanNode | undefined {
    if (node.children.has(name)) return node.children.get(name);
    const child = node.listed && !includesSorted(node.listed, name) ? undefined : this.#look(node, name);
    node.children.set(name, child);
    return child;
  }

  #look(parent: ScanNode, name: BytePath): ScanNode | undefined {
    const path = below(parent.path, name);
    const step = this.#matcher.patterns.length > 0 ? this.#matcher.step(toText(path), parent.match) : undefined;
    const stat = this.#stat(parent, name, path);
    if (!stat || (stat.ino === this.#state?.ino && stat.dev === this.#state.dev)) return undefined;
    const entry = { ...entryOf(stat), uid: 0, gid: 0, atimeNs: stat.mtimeNs };
    const excluded = step?.matched ?? false;
    return { name, parent, path, entry, excluded, match: step?.state, stamp: stampOf(stat), children: new Map() };
  }

  #stat(parent: ScanNode, name: BytePath, path: BytePath): fs.BigIntStats | undefined {
    try {
      return lstat(this.#handles.path(parent, name));
    } catch (error) {
      if (isMissing(error) || systemCode(error) === "ELOOP") return undefined;
      throw fileError("lstat", path, error);
    }
  }

  #isVisible(node: ScanNode): boolean {
    node.visible ??= !node.excluded || this.#showsBelow(node);
    return node.visible;
  }

  #showsBelow(node: ScanNode): boolean {
    if (node.entry.kind !== "dir" || !this.#matcher.mayExceptBelow(toText(node.path))) return false;
    return this.list(node).length > 0;
  }

  #isGone(path: BytePath): boolean {
    let node: ScanNode | undefined = this.root;
    for (const name of path.split("/")) {
      if (!node.children.has(name)) return node.listed !== undefined;
      node = node.children.get(name);
      if (!node) return false;
    }
    return node.entry.kind !== "file";
  }

  /** Calls WORK with the node's path; what has gone or may not be read is said in a sentence. */
  #on<T>(node: ScanNode, what: string, work: (at: BytePath) => T): T {
    try {
      const isDirectory = node.entry.kind === "dir" || node.parent === undefined;
      return work(isDirectory ? this.#handles.path(node, "") : this.#handles.path(node.parent, node.name));
    } catch (error) {
      const code = systemCode(error);
      if (code !== undefined && OTHER_NOW.includes(code)) throw changed(node.path);
      if (code === "EACCES" || code === "EPERM") {
        throw new EngineError("denied", `${what} ${shown(node.path)} of the build context: permission denied`, {
          cause: error,
        });
      }
      throw fileError(what, node.path, error);
    }
  }
}

const READ_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

/** What calls say where something else has taken an entry's place, or nothing. */
const OTHER_NOW: readonly string[] = ["ENOENT", "ENOTDIR", "ELOOP", "EINVAL", "ENXIO"];

/** The top of a context is nobody's directory: mode, owner and time of the caller's own say nothing. */
const ROOT_ENTRY: Entry = {
  kind: "dir",
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  rdev: 0,
  atimeNs: 0n,
  mtimeNs: undefined,
  links: 1,
  inode: "",
  allocated: 0,
};

/** An entry is not what it was when the build looked at it first. */
function changed(path: BytePath): EngineError {
  return new EngineError("changed", `${shown(path)} of the build context changed during the build`);
}

function stampOf(stat: fs.BigIntStats): string {
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}:${stat.mode}`;
}

/** Kernel clocks tick up to every 10 ms, and some file systems know only (even) seconds. */
const TICK_MS = 100n;
const COARSE_TICK_MS = 2_100n;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

/** Whether a later write would surely show in the times: the last change lies more than a tick before the reading began. */
function isSettled(stat: fs.BigIntStats, readingBeganMs: bigint): boolean {
  return [stat.mtimeNs, stat.ctimeNs].every((ns) => {
    const tick = stat.ctimeNs % NS_PER_SECOND === 0n ? COARSE_TICK_MS : TICK_MS;
    return ns / NS_PER_MS + tick < readingBeganMs;
  });
}

function includesSorted(names: readonly BytePath[], name: BytePath): boolean {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((names[middle] ?? "") < name) low = middle + 1;
    else high = middle;
  }
  return names[low] === name;
}
