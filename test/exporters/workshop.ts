import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { digestFromHex, digestOf } from "../../src/base/index.js";
import {
  createImageWriter,
  type ExportedImage,
  type ImageWriter,
  type WriteOptions,
} from "../../src/exporters/index.js";
import { type ImageConfig, type Layer, MediaType, type Platform } from "../../src/oci/index.js";
import {
  createDataPlane,
  createLayerStore,
  type DataPlane,
  type ImageLayer,
  type KnownLayer,
  type LayerStore,
  layerMigrations,
  type StateDirs,
  stateDirs,
  type Tree,
} from "../../src/snapshot/index.js";
import {
  type ContentStore,
  createContentStore,
  createImageStore,
  type Database,
  type ImageStore,
  imageStoreMigrations,
  openDatabase,
} from "../../src/store/index.js";

const WORKER_FILE = fileURLToPath(new URL("../../dist/worker.cjs", import.meta.url));

export const AMD64: Platform = { os: "linux", architecture: "amd64" };
export const ARM64: Platform = { os: "linux", architecture: "arm64" };
/** 2024-05-06T07:08:09.010Z */
export const NOW = Date.UTC(2024, 4, 6, 7, 8, 9, 10);
export const GZIP = { compression: "gzip", mediaTypes: "oci", complete: true } satisfies WriteOptions;

/** Everything an export works on, in a state directory of its own, at a time that stands still. */
export class Workshop implements AsyncDisposable {
  readonly #root: string;
  readonly dirs: StateDirs;
  readonly plane: DataPlane;
  readonly database: Database;
  readonly store: ContentStore;
  readonly images: ImageStore;
  readonly layers: LayerStore;
  readonly writer: ImageWriter;
  readonly clock = { now: () => NOW };
  readonly owner = { uid: 0, gid: 0 };
  /** The base images' blobs that were fetched. */
  readonly fetched: string[] = [];
  /** The layers that were packed or hashed. */
  readonly packed: number[] = [];

  private constructor(root: string, database: Database) {
    const { clock } = this;
    this.#root = root;
    this.database = database;
    this.dirs = stateDirs(path.join(root, "state"));
    const plane = createDataPlane({ dirs: this.dirs, snapshotter: "overlay", workerFile: WORKER_FILE, threads: 2 });
    this.plane = plane;
    this.store = createContentStore(this.dirs.root, clock);
    this.images = createImageStore(database, clock);
    const fetchLayer = (layer: KnownLayer) => this.#fetch(layer);
    this.layers = createLayerStore({
      database,
      plane,
      dirs: this.dirs,
      owner: "owner",
      bootId: "boot",
      clock,
      fetch: fetchLayer,
      isStored: (blob) => fs.existsSync(this.store.path(blob)),
    });
    const counting: DataPlane = Object.assign(Object.create(plane), {
      run: (...[name, args, options]: Parameters<DataPlane["run"]>) => {
        if (name === "exportLayer") this.packed.push((args as { layer: number }).layer);
        return plane.run(name, args, options);
      },
    });
    const { layers, store, dirs } = this;
    this.writer = createImageWriter({ plane: counting, layers, store, dirs, fetchLayer, concurrency: 2 });
  }

  static async open(): Promise<Workshop> {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-exporters-"));
    const dirs = stateDirs(path.join(root, "state"));
    for (const directory of [dirs.layers, dirs.mounts, path.join(dirs.layers, "empty"), path.join(root, "remote")])
      fs.mkdirSync(directory, { recursive: true });
    return new Workshop(root, await openDatabase(dirs.database, [...layerMigrations, ...imageStoreMigrations]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plane[Symbol.asyncDispose]();
    this.database.close();
    fs.rmSync(this.#root, { recursive: true, force: true });
  }

  /** A path for output; nothing is there. */
  path(name: string): string {
    return path.join(this.#root, name);
  }

  /** PARENTS and a new layer that SCRIPT makes, run by sh in an empty directory; every file is dated 2019 unless it is dated already. */
  async layer(parents: Tree, script: string): Promise<Tree> {
    // What of a base was not fetched is nothing to stand on.
    const present = parents.filter((layer) => this.layers.info(layer).state === "ready");
    const workspace = await this.layers.create(present);
    runScript(script, path.join(this.dirs.layers, String(workspace.layer), "fs"));
    await this.layers.commit(workspace);
    return [...parents, workspace.layer];
  }

  /** A layer of an image that lies elsewhere, packed by gzip. */
  remoteLayer(script: string): ImageLayer {
    const directory = fs.mkdtempSync(path.join(this.#root, "layer-"));
    runScript(script, directory);
    const archive = execFileSync("tar", ["-C", directory, "--sort=name", "--numeric-owner", "-c", "."]);
    const blob = gzipSync(archive);
    const digest = digestOf(blob);
    fs.writeFileSync(path.join(this.#root, "remote", digest), blob);
    const descriptor = { mediaType: MediaType.dockerLayerGzip, digest, size: blob.length };
    return { descriptor, diffId: digestOf(archive), origin: "remote" };
  }

  async #fetch({ descriptor }: KnownLayer): Promise<string> {
    this.fetched.push(descriptor.digest);
    const bytes = fs.readFileSync(path.join(this.#root, "remote", descriptor.digest));
    async function* content() {
      yield bytes;
    }
    await this.store.ingest(content(), descriptor);
    return this.store.path(descriptor.digest);
  }

  /** The names below a directory of the state. */
  temporaries(): string[] {
    return fs.existsSync(this.dirs.tmp) ? fs.readdirSync(this.dirs.tmp) : [];
  }
}

function runScript(script: string, directory: string): void {
  const dating = "find . ! -newermt 2020-01-01 -prune -o -exec touch -h -d 2019-01-01T00:00:00Z {} +";
  execFileSync("/bin/sh", ["-euc", `umask 022; ${script}; ${dating}`], {
    cwd: directory,
    env: { ...process.env, TZ: "UTC" },
  });
}

export function image(tree: Tree, changes: Partial<ImageConfig> = {}, platform = AMD64): ExportedImage {
  const config: ImageConfig = {
    architecture: platform.architecture,
    os: platform.os,
    config: { Cmd: ["sh"] },
    rootfs: { type: "layers", diff_ids: [] },
    history: tree.map((layer) => ({ created_by: `RUN ${layer}`, comment: "buildkit.dockerfile.v0" })),
    ...changes,
  };
  return { platform, tree, config, baseLayers: config.rootfs.diff_ids.length };
}

export function sha256(file: string): string {
  return digestFromHex(createHash("sha256").update(fs.readFileSync(file)).digest("hex"));
}

export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** The text of a tar archive's entries as tar lists them. */
export function entriesOf(archive: string): string[] {
  return run("tar", "--numeric-owner", "-tvf", archive).trimEnd().split("\n").filter(Boolean);
}

export function digestsOf(layers: readonly Layer[]): string[] {
  return layers.map(({ descriptor }) => descriptor.digest);
}
