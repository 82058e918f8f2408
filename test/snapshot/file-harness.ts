import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { CopyAction, FileChange } from "../../src/base/index.js";
import { createDataPlane, type DataPlane } from "../../src/snapshot/data-plane.js";
import type { FileActionRequest } from "../../src/snapshot/file-action.js";
import type { Selector } from "../../src/snapshot/selector.js";
import { stateDirs } from "../../src/snapshot/state-dirs.js";
import type { FileSource, LayerId, Tree } from "../../src/snapshot/tree.js";

const WORKER_FILE = fileURLToPath(new URL("../../dist/worker.cjs", import.meta.url));

/** A state directory of its own with a data plane, and a directory to lay contexts out in. */
export class Bench implements AsyncDisposable {
  readonly plane: DataPlane;
  readonly scratch: string;
  readonly #root: string;
  #layers = 0;
  #names = 0;

  constructor() {
    this.#root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-files-"));
    const dirs = stateDirs(path.join(this.#root, "state"));
    for (const directory of [dirs.root, dirs.layers, dirs.mounts, dirs.tmp, dirs.contexts]) fs.mkdirSync(directory);
    fs.mkdirSync(path.join(dirs.layers, "empty"));
    this.scratch = path.join(this.#root, "scratch");
    fs.mkdirSync(this.scratch);
    this.plane = createDataPlane({ dirs, snapshotter: "overlay", workerFile: WORKER_FILE, threads: 1 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plane[Symbol.asyncDispose]();
    fs.rmSync(this.#root, { recursive: true, force: true });
  }

  get contexts(): string {
    return path.join(this.#root, "state", "contexts");
  }

  /** Where a layer's files are. */
  layerDirectory(layer: LayerId): string {
    return path.join(this.#root, "state", "layers", String(layer), "fs");
  }

  /** A new layer that SCRIPT fills, run by sh with the layer as its working directory. */
  async layer(script = ""): Promise<LayerId> {
    const layer = ++this.#layers;
    await this.plane.run("createLayer", { layer, parents: [] });
    if (script !== "") execFileSync("/bin/sh", ["-euc", `umask 022; ${script}`], { cwd: this.layerDirectory(layer) });
    return layer;
  }

  /** A new directory that SCRIPT fills. */
  directory(script = ""): string {
    const directory = path.join(this.scratch, String(++this.#names));
    fs.mkdirSync(directory);
    if (script !== "") execFileSync("/bin/sh", ["-euc", `umask 022; ${script}`], { cwd: directory });
    return directory;
  }

  /** A build context that SCRIPT fills, scanned anew. */
  context(script: string, excludes: readonly string[] = []): FileSource {
    return this.scan(this.directory(script), excludes);
  }

  /** The directory as a context that nothing is known of yet in this build. */
  scan(directory: string, excludes: readonly string[] = []): FileSource {
    return { kind: "context", directory, excludes, scanId: `scan-${++this.#names}` };
  }

  /** Applies actions to a new layer on PARENTS; gives the layer. */
  async apply(
    parents: Tree,
    ...actions: readonly (FileChange | Omit<FileActionRequest, "workspace">)[]
  ): Promise<LayerId> {
    const layer = await this.layer();
    for (const item of actions) {
      const request = "action" in item ? item : { action: item };
      await this.plane.run("applyFileAction", { workspace: { layer, parents }, ...request });
    }
    return layer;
  }

  /** What a layer holds, one line for each entry: see `listing`. */
  async list(layer: LayerId): Promise<string[]> {
    return listing(this.layerDirectory(layer));
  }

  async digest(source: FileSource, selector: Partial<Selector> & { readonly path: string }): Promise<string> {
    const result = await this.plane.run("contentDigest", { source, selector: select(selector) }, { affinity: "scan" });
    return result.digest;
  }
}

export function select(selector: Partial<Selector> & { readonly path: string }): Selector {
  return {
    followSymlink: true,
    wildcard: true,
    allowEmptyWildcard: true,
    includes: [],
    excludes: [],
    required: [],
    ...selector,
  };
}

/** A copy as a COPY instruction asks for it. */
export function copyAction(src: string, dest: string, more: Partial<CopyAction> = {}): CopyAction {
  return {
    kind: "copy",
    src,
    dest,
    followSymlink: true,
    dirCopyContents: true,
    attemptUnpack: false,
    createDestPath: true,
    allowWildcard: true,
    allowEmptyWildcard: true,
    timestamp: -1,
    alwaysReplaceExistingDestPaths: false,
    ...more,
  };
}

/**
 * `path kind mode uid:gid`, then the content of a small file, the target of a link, the numbers of a device; `@seconds` for times
 * before 2020, and `=path` for another name of a file listed before.
 */
export function listing(directory: string): string[] {
  const lines: string[] = [];
  const inodes = new Map<bigint, string>();
  const visit = (relative: string) => {
    const at = Buffer.from(`${directory}/${relative}`, "latin1");
    const stat = fs.lstatSync(at, { bigint: true });
    const kind = kindOf(stat);
    const mode = (Number(stat.mode) & 0o7777).toString(8).padStart(4, "0");
    const words = [Buffer.from(relative, "latin1").toString(), kind, mode, `${stat.uid}:${stat.gid}`];
    if (kind === "file")
      words.push(JSON.stringify(stat.size > 200n ? `${stat.size} bytes` : fs.readFileSync(at, "utf8")));
    if (kind === "link") words.push(`-> ${fs.readlinkSync(at)}`);
    if (kind === "char" || kind === "block") words.push(String(stat.rdev));
    const seconds = stat.mtimeNs / 1_000_000_000n;
    if (seconds < 1_577_836_800n) words.push(`@${seconds}`);
    if (kind === "file" && stat.nlink > 1n) {
      const first = inodes.get(stat.ino);
      if (first !== undefined) words.push(`=${first}`);
      inodes.set(stat.ino, first ?? relative);
    }
    if (relative !== "") lines.push(words.join(" "));
    if (kind !== "dir") return;
    for (const name of fs.readdirSync(at, "latin1").sort()) visit(relative === "" ? name : `${relative}/${name}`);
  };
  visit("");
  return lines;
}

function kindOf(stat: fs.BigIntStats): string {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "dir";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  if (stat.isCharacterDevice()) return "char";
  return stat.isBlockDevice() ? "block" : "socket";
}
