import fs from "node:fs";
import { EngineError } from "../../base/index.js";
import type { LayerId, Tree } from "../tree.js";
import { type BytePath, join, toBuffer, toText } from "./bytes.js";
import { hideLower, keepingTime } from "./commit.js";
import type { Job } from "./context.js";
import { readLink } from "./layer-compare.js";
import { applyMetadata, copyContent, metadataOf } from "./layer-copy.js";
import type { LayerFixups } from "./layer-extract.js";
import { type LayerSummary, measure } from "./layer-measure.js";
import { directoryAt, lookUpPath, resolveLinks, type StackDir, stackOf } from "./layer-stack.js";
import { type FileStat, namesIn, statOf } from "./layer-stat.js";
import { removeTree } from "./remove.js";

/** Unpacked layers, bottom first, and the committed tree they go on. */
export interface SettleArgs {
  readonly base: Tree;
  readonly layers: readonly { readonly layer: LayerId; readonly fixups: LayerFixups }[];
}

/**
 * Applies what the archives of layers said about the layers below them; then they are committed. Gives a summary for each. To be called
 * once per unpacked layer.
 */
export const settleLayers: Job<SettleArgs, LayerSummary[]> = ({ base, layers }, context) => {
  const settled: LayerId[] = [...base];
  return layers.map(({ layer, fixups }) => {
    context.checkCanceled();
    new Settlement(layer, stackOf(settled), fixups).apply();
    settled.push(layer);
    return measure(`${layer}/fs`, context);
  });
};

class Settlement {
  readonly #top: BytePath;
  readonly #lower: StackDir;
  readonly #fixups: LayerFixups;
  /** Directories that turned out to be links below: what was put into them is elsewhere now. */
  readonly #moved: { readonly from: BytePath; readonly to: BytePath }[] = [];

  constructor(layer: LayerId, lower: StackDir, fixups: LayerFixups) {
    this.#top = `${layer}/fs`;
    this.#lower = lower;
    this.#fixups = fixups;
  }

  apply(): void {
    for (const path of [...this.#fixups.implied].sort()) this.#settleImplied(this.#now(path));
    for (const { name, target } of this.#fixups.links) this.#link(this.#now(name), this.#now(target));
    for (const path of this.#fixups.opaque) {
      const at = this.#now(path);
      if (at === "" || this.#own(at)?.kind === "directory") hideLower(this.#at(at), directoryAt(this.#lower, at));
    }
    for (const path of this.#fixups.whiteouts) this.#dropNeedless(this.#now(path));
  }

  /** A directory the archive only implied is what it is below: a directory with its metadata, or a link to another one. */
  #settleImplied(path: BytePath): void {
    const below = lookUpPath(this.#lower, path);
    if (!below || this.#own(path)?.kind !== "directory") return;
    if (below.stat.kind === "directory") applyMetadata(this.#at(path), metadataOf(below));
    else if (below.stat.kind === "symlink") this.#followLink(path);
  }

  #followLink(path: BytePath): void {
    const readLower = (name: BytePath): BytePath | undefined => {
      const entry = name === path ? undefined : this.#own(name);
      if (entry) return entry.kind === "symlink" ? readLink(this.#at(name)) : undefined;
      const below = lookUpPath(this.#lower, name);
      return below?.stat.kind === "symlink" ? readLink(below.path) : undefined;
    };
    const to = resolveLinks(path, readLower);
    // A link to itself, to below itself or to a file leads nowhere: then the directory stands, as the archive says.
    if (to === path || to.startsWith(`${path}/`) || !this.#canBeDirectory(to)) return;
    this.#ensureDirectory(to);
    this.#merge(path, to);
    this.#moved.push({ from: path, to });
  }

  /** Moves what is in FROM to TO, where it wins over what is there; FROM goes. */
  #merge(from: BytePath, to: BytePath): void {
    keepingTime(this.#at(to), () => {
      for (const name of namesIn(this.#at(from))) {
        const [source, target] = [join(from, name), to === "" ? name : join(to, name)];
        const [moving, there] = [this.#own(source), this.#own(target)];
        if (moving?.kind === "directory" && there?.kind === "directory") this.#merge(source, target);
        else {
          removeTree(this.#at(target));
          fs.renameSync(toBuffer(this.#at(source)), toBuffer(this.#at(target)));
        }
      }
    });
    this.#inParent(from, () => fs.rmdirSync(toBuffer(this.#at(from))));
  }

  #link(name: BytePath, target: BytePath): void {
    // A later entry of the archive took the name, or replaced the directory it was in.
    if (this.#own(name) || !this.#isDirectory(parentOf(name))) return;
    const own = this.#own(target);
    if (own?.kind === "whiteout") {
      this.#copyUp(target, name);
      return;
    }
    if (own?.kind === "directory")
      throw new EngineError("invalid", `a layer links ${toText(name)} to the directory ${toText(target)}`);
    if (!own) {
      if (!this.#canBeDirectory(parentOf(target))) throw noTarget(name, target);
      this.#ensureDirectory(parentOf(target));
      this.#copyUp(target, target);
    }
    this.#inParent(name, () => fs.linkSync(toBuffer(this.#at(target)), toBuffer(this.#at(name))));
  }

  #copyUp(path: BytePath, to: BytePath): void {
    const below = lookUpPath(this.#lower, path);
    if (!below || below.dir || below.stat.kind === "socket") throw noTarget(to, path);
    this.#inParent(to, () => {
      copyContent(below, this.#at(to), () => {});
      applyMetadata(this.#at(to), metadataOf(below));
    });
  }

  /** Whether nothing but directories, here or else below, stands in the way of a directory at PATH. */
  #canBeDirectory(path: BytePath): boolean {
    if (path === "") return true;
    if (!this.#canBeDirectory(parentOf(path))) return false;
    const kind = this.#own(path)?.kind ?? lookUpPath(this.#lower, path)?.stat.kind;
    return kind === undefined || kind === "directory";
  }

  /** Makes a directory and what is above it in this layer, with the metadata they have below. */
  #ensureDirectory(path: BytePath): void {
    if (this.#isDirectory(path)) return;
    this.#ensureDirectory(parentOf(path));
    const below = lookUpPath(this.#lower, path);
    this.#inParent(path, () => {
      fs.mkdirSync(toBuffer(this.#at(path)), 0o755);
      if (below?.dir) applyMetadata(this.#at(path), metadataOf(below));
    });
  }

  #dropNeedless(path: BytePath): void {
    if (this.#own(path)?.kind !== "whiteout" || lookUpPath(this.#lower, path)) return;
    this.#inParent(path, () => fs.unlinkSync(toBuffer(this.#at(path))));
  }

  #inParent(path: BytePath, work: () => void): void {
    keepingTime(this.#at(parentOf(path)), work);
  }

  #isDirectory(path: BytePath): boolean {
    return path === "" || this.#own(path)?.kind === "directory";
  }

  /** What this layer has at PATH. An archive may have put a link where a directory was: nothing is looked for behind one. */
  #own(path: BytePath): FileStat | undefined {
    return this.#isDirectory(parentOf(path)) ? statOf(this.#at(path)) : undefined;
  }

  #at(path: BytePath): BytePath {
    return path === "" ? this.#top : join(this.#top, path);
  }

  #now(path: BytePath): BytePath {
    let now = path;
    for (const { from, to } of this.#moved) {
      if (now === from) now = to;
      else if (now.startsWith(`${from}/`)) now = to === "" ? now.slice(from.length + 1) : to + now.slice(from.length);
    }
    return now;
  }
}

function parentOf(path: BytePath): BytePath {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function noTarget(name: BytePath, target: BytePath): EngineError {
  return new EngineError(
    "invalid",
    `a layer links ${toText(name)} to ${toText(target)}, which is no file of it or of a layer below`,
  );
}
