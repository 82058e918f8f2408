import { createHash, type Hash } from "node:crypto";
import { type Digest, digestFromHex, digestOf, EngineError, hexOf } from "../../base/index.js";
import { MARK_DIGITS, TreeSketch } from "../content-tree.js";
import type { ContentDigest, ContentDigestRequest, Selector } from "../selector.js";
import { type BytePath, fromText } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import type { Entry } from "./file-entry.js";
import { notFound } from "./file-errors.js";
import { Filter } from "./file-filter.js";
import { type ModeChange, parseMode } from "./file-mode.js";
import { baseOf, below, cleanPath, resolvePath } from "./file-paths.js";
import { type FileView, withSource } from "./file-view.js";
import { type Met, type Visitor, walk } from "./file-walk.js";
import { hasWildcards, namedPaths } from "./file-wildcards.js";
import { saveScan } from "./scan-store.js";

/**
 * The digest of what a copy of the selection would see: for each source that the path names, in the order of a walk, its name unless it
 * is a directory, then every selected entry with its path below the source, type, mode, owner, size, link target, device, extended
 * attributes and content. Never times, nor where in the tree the selection lies. Nothing there throws `not-found`.
 */
export const contentDigest: Job<ContentDigestRequest, ContentDigest> = (request, context) =>
  withSource(request.source, context, (view) => {
    const { source } = request;
    try {
      return digestSelection(view, request, context);
    } finally {
      if (source.kind === "context") saveScan(source);
    }
  });

function digestSelection(
  view: FileView,
  { selector, withTree }: ContentDigestRequest,
  context: JobContext,
): ContentDigest {
  const filter = new Filter(selector.includes, selector.excludes);
  const sketch = withTree ? new TreeSketch() : undefined;
  const writer = new PreimageWriter(view, selector, context, sketch);
  const sources =
    selector.wildcard && hasWildcards(selector.path)
      ? namedPaths(view, selector.path, (link, target) => writer.follow(link, target))
      : [cleanPath(fromText(selector.path))];
  if (sources.length === 0 && !selector.allowEmptyWildcard)
    throw new EngineError("not-found", `${selector.path} not found`);
  for (const source of sources) {
    const start = resolvePath(view, source, selector.followSymlink, (link, target) => writer.follow(link, target));
    const entry = view.lstat(start);
    if (!entry) throw notFound(source);
    writer.begin(source, { start, name: entry.kind === "dir" ? "" : baseOf(source) });
    walk(view, start, filter, writer, context);
  }
  for (const required of selector.required) {
    if (!writer.has(cleanPath(fromText(required)))) throw notFound(cleanPath(fromText(required)));
  }
  return writer.finish();
}

/** The detail of a file below SOURCE with a mark of its content: size and digest, or the whole path that it shares an inode with. */
function marked(detail: string, source: BytePath): string {
  const [, size, sha256] = /^(\d+) ([0-9a-f]{64})$/.exec(detail) ?? [];
  if (sha256 !== undefined) return `${size} ${sha256.slice(0, MARK_DIGITS)}`;
  return `${LINK}${below(source, detail.slice(LINK.length))}`;
}

/** How the detail of a file begins that is another name of one before it. */
const LINK = "link ";
const FORMAT = "ashlar content 1";
const FLUSH_CHARS = 64 * 1024;

/**
 * Writes what is hashed: fields that hold no NUL, each ended by one. After the format, `source` and its name for each source; then for
 * each entry the path, the kind, mode, uid, gid, what its kind adds, the number of attributes, and each one's name and value in hex.
 */
class PreimageWriter implements Visitor {
  readonly #view: FileView;
  readonly #selector: Selector;
  readonly #change: ModeChange | undefined;
  readonly #context: JobContext;
  readonly #hash: Hash = createHash("sha256");
  #text = `${FORMAT}\0`;
  #entries = 0;
  #bytes = 0;
  #source: BytePath = "";
  #start: BytePath = "";
  readonly #links = new Map<BytePath, BytePath>();
  #inodes = new Map<string, BytePath>();
  readonly #missing: Set<BytePath>;
  readonly #sketch: TreeSketch | undefined;

  constructor(view: FileView, selector: Selector, context: JobContext, sketch: TreeSketch | undefined) {
    this.#sketch = sketch;
    this.#view = view;
    this.#selector = selector;
    this.#change = selector.modeChange === undefined ? undefined : parseMode(selector.modeChange);
    this.#context = context;
    this.#missing = new Set(selector.required.map((path) => cleanPath(fromText(path))));
  }

  /** Notes a link on the way to what is selected: it says where that lies, and is no part of the digest. */
  follow(link: BytePath, target: BytePath): void {
    this.#links.set(link, target);
    this.#sketch?.add(link, ["way", "", "", target, ""]);
  }

  /** START: the plain path of SOURCE. */
  begin(source: BytePath, { start, name }: { readonly start: BytePath; readonly name: BytePath }): void {
    this.#source = source;
    this.#start = start;
    this.#inodes = new Map();
    this.#write(`source\0${name}\0`);
  }

  enter(directory: Met): void {
    this.#entry(directory, "");
  }

  passThrough(directory: Met): void {
    this.#entry(directory, "");
  }

  leave(): void {}

  visit(met: Met): void {
    this.#entry(met, this.#detail(met));
  }

  /** Whether something at or below a path has been selected, the path taken as the selector names it. */
  has(required: BytePath): boolean {
    return !this.#missing.has(required);
  }

  finish(): ContentDigest {
    this.#flush();
    const digest: Digest = digestFromHex(this.#hash.digest("hex"));
    const tree = this.#sketch && { tree: this.#sketch.finish() };
    const links = this.#links.size > 0 && { links: [...this.#links] };
    return { digest, entries: this.#entries, bytes: this.#bytes, ...links, ...tree };
  }

  /** What only this kind of entry has. */
  #detail({ source, relative, entry }: Met): string {
    switch (entry.kind) {
      case "file": {
        this.#bytes += entry.size;
        const first = entry.links > 1 ? this.#inodes.get(entry.inode) : undefined;
        if (first !== undefined) return LINK + first;
        if (entry.links > 1) this.#inodes.set(entry.inode, relative);
        this.#context.report({ current: this.#bytes, unit: "bytes" });
        return `${entry.size} ${this.#view.sha256(source)}`;
      }
      case "symlink":
        return this.#view.readLink(source);
      case "char":
      case "block":
        return String(entry.rdev);
      default:
        return "";
    }
  }

  #entry({ source, relative, entry }: Met, detail: string): void {
    this.#entries++;
    this.#note(below(this.#source, relative));
    const { ignoreOwner = false } = this.#selector;
    const mode = this.#modeOf(entry);
    // What a copy makes of a mode is told from one that is there.
    const mark = this.#change ? "=" : "";
    const owner = ignoreOwner ? "\0" : `${entry.uid}\0${entry.gid}`;
    const xattrs = this.#view.xattrs(source);
    const attributes = xattrs.map(({ name, value }) => `${name}\0${Buffer.from(value).toString("hex")}\0`).join("");
    this.#write(`${relative}\0${entry.kind}\0${mark}${mode}\0${owner}\0${detail}\0${xattrs.length}\0${attributes}`);
    const own = entry.mode.toString(8);
    this.#sketch?.add(below(this.#start, relative), [
      entry.kind,
      this.#change && mode !== "" ? `${mode} ${own}` : mode,
      ignoreOwner ? "" : `${entry.uid}:${entry.gid}`,
      entry.kind === "file" ? marked(detail, this.#start) : detail,
      attributes === "" ? "" : hexOf(digestOf(attributes)).slice(0, MARK_DIGITS),
    ]);
  }

  /** The permission bits that count. */
  #modeOf({ kind, mode }: Entry): string {
    if (this.#selector.ignoreMode || kind === "symlink") return "";
    return (this.#change?.(mode, kind === "dir") ?? mode).toString(8);
  }

  #note(path: BytePath): void {
    for (const required of this.#missing) if (`${path}/`.startsWith(`${required}/`)) this.#missing.delete(required);
  }

  #write(text: string): void {
    this.#text += text;
    if (this.#text.length > FLUSH_CHARS) this.#flush();
  }

  #flush(): void {
    this.#hash.update(this.#text, "latin1");
    this.#text = "";
  }
}
