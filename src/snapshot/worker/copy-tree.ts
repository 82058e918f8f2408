import fs from "node:fs";
import { EngineError } from "../../base/index.js";
import type { BytePath } from "./bytes.js";
import type { JobContext } from "./context.js";
import { copyContent } from "./copy-data.js";
import type { Entry } from "./file-entry.js";
import { naming, shown } from "./file-errors.js";
import type { ModeChange } from "./file-mode.js";
import { below } from "./file-paths.js";
import type { Ids, Target } from "./file-target.js";
import type { FileView } from "./file-view.js";
import type { Met, Visitor } from "./file-walk.js";

/** How copied entries differ from their sources. */
export interface CopyStyle {
  /** Their owner instead of the source's. */
  readonly owner: Ids | undefined;
  readonly mode: ModeChange | undefined;
  /** Their time instead of the source's. */
  readonly timeNs: bigint | undefined;
  /** Replace what is in the way instead of failing. */
  readonly replace: boolean;
}

const NS_PER_SECOND = 1_000_000_000n;
const SPECIAL_BITS = 0o7000;

/**
 * Copies what it is shown to a plain path of the target. The directory it copies onto keeps mode and owner if it exists; directories
 * below take the source's, made or not. Names of one inode stay names of one inode.
 */
export class TreeCopy implements Visitor {
  readonly #view: FileView;
  readonly #target: Target;
  readonly #top: BytePath;
  readonly #style: CopyStyle;
  readonly #context: JobContext;
  /** The first copy of an inode that has several names. */
  readonly #copies = new Map<string, BytePath>();
  /** The directories being copied, innermost last, and whether each is new and so holds nothing but what is copied. */
  readonly #made: { readonly path: BytePath; readonly isNew: boolean }[] = [];
  #files = 0;

  constructor(view: FileView, target: Target, top: BytePath, style: CopyStyle, context: JobContext) {
    this.#view = view;
    this.#target = target;
    this.#top = top;
    this.#style = style;
    this.#context = context;
  }

  enter({ relative, entry }: Met): void {
    const path = below(this.#top, relative);
    this.#made.push({ path, isNew: this.#makeDirectory(path, entry, relative) });
  }

  leave(met: Met): void {
    const { path, isNew } = this.#made.pop() ?? { path: below(this.#top, met.relative), isNew: false };
    if (isNew || met.relative !== "") this.#dress(path, met);
    else this.#date(path, met.entry);
  }

  passThrough(met: Met): void {
    const path = below(this.#top, met.relative);
    if (this.#makeDirectory(path, met.entry, met.relative)) this.#dress(path, met);
    else if (met.relative !== "") this.#target.chmod(path, met.entry.mode);
  }

  visit(met: Met): void {
    const path = below(this.#top, met.relative);
    const existing = this.#existing(path, met.relative);
    if (existing?.kind === "dir") {
      if (!this.#style.replace)
        throw new EngineError("invalid", `cannot replace to directory ${shown(path)} with file`);
      this.#target.remove(path);
    } else if (existing) this.#target.unlink(path);
    this.#create(path, met);
    this.#context.report({ current: ++this.#files, unit: "files" });
  }

  /** Whether the directory was made; one that exists is left as it is. */
  #makeDirectory(path: BytePath, entry: Entry, relative: BytePath): boolean {
    const existing = this.#existing(path, relative);
    if (existing?.kind === "dir") return false;
    if (existing) {
      if (!this.#style.replace) throw new EngineError("invalid", `cannot copy to non-directory: ${shown(path)}`);
      this.#target.unlink(path);
    }
    if (path === "") return false;
    this.#target.makeDirectory(path, entry.mode);
    return true;
  }

  #existing(path: BytePath, relative: BytePath): Entry | undefined {
    const parent = this.#made.at(-1);
    if (relative !== "" && parent?.isNew && path.lastIndexOf("/") === parent.path.length) return undefined;
    return this.#target.lstat(path);
  }

  #create(path: BytePath, met: Met): void {
    const { source, entry } = met;
    switch (entry.kind) {
      case "file":
        this.#createFile(path, met);
        return;
      case "symlink":
        this.#target.makeLink(path, this.#view.readLink(source));
        break;
      default:
        this.#target.makeSpecial(path, entry);
    }
    this.#dress(path, met);
  }

  #createFile(path: BytePath, met: Met): void {
    const { source, entry } = met;
    const first = entry.links > 1 ? this.#copies.get(entry.inode) : undefined;
    if (first !== undefined) this.#target.makeHardLink(path, first);
    else {
      if (entry.links > 1) this.#copies.set(entry.inode, path);
      const mode = this.#modeOf(entry);
      const to = this.#target.create(path, mode);
      try {
        copyContent(this.#view, { path: source, entry, to }, this.#context);
        const { uid, gid } = this.#style.owner ?? entry;
        this.#target.chown(path, { uid, gid });
        if ((mode & SPECIAL_BITS) !== 0) naming("chmod", path, () => fs.fchmodSync(to, mode));
        this.#dateFile(to, path, entry);
      } finally {
        fs.closeSync(to);
      }
      this.#target.setXattrs(path, this.#view.xattrs(source));
      return;
    }
    this.#dress(path, met);
  }

  /** Node sets times by descriptor, though only to the microsecond. */
  #dateFile(fd: number, path: BytePath, entry: Entry): void {
    const mtimeNs = this.#style.timeNs ?? entry.mtimeNs;
    const atimeNs = this.#style.timeNs ?? entry.atimeNs;
    if (mtimeNs !== undefined && isWholeSecond(mtimeNs) && isWholeSecond(atimeNs)) {
      naming("utimensat", path, () =>
        fs.futimesSync(fd, Number(atimeNs / NS_PER_SECOND), Number(mtimeNs / NS_PER_SECOND)),
      );
    } else this.#date(path, entry);
  }

  /** Owner, mode, times and attributes, in the order in which none undoes another. */
  #dress(path: BytePath, { source, entry }: Met): void {
    this.#target.chown(path, this.#style.owner ?? entry);
    if (entry.kind !== "symlink") this.#target.chmod(path, this.#modeOf(entry));
    this.#target.setXattrs(path, this.#view.xattrs(source));
    this.#date(path, entry);
  }

  #date(path: BytePath, entry: Entry): void {
    const { timeNs } = this.#style;
    if (timeNs !== undefined) this.#target.setTimes(path, timeNs, timeNs);
    else if (entry.mtimeNs !== undefined) this.#target.setTimes(path, entry.atimeNs, entry.mtimeNs);
  }

  #modeOf(entry: Entry): number {
    return this.#style.mode?.(entry.mode, entry.kind === "dir") ?? entry.mode;
  }
}

function isWholeSecond(ns: bigint): boolean {
  return ns >= 0n && ns % NS_PER_SECOND === 0n;
}
