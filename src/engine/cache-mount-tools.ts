import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { EngineError, Scope } from "../base/index.js";
import { importedMountKey, type StoredCacheMount, shownCacheMountId } from "../cache/index.js";
import { writeFileTo } from "../exporters/index.js";
import { isAsItWas } from "../snapshot/index.js";
import { type ArchiveSource, type Unpacking, unpackFiles } from "./archive-files.js";
import type { PruneEngine } from "./prune.js";
import { withReserve } from "./reserve.js";

/**
 * The cache mounts of steps (`RUN --mount=type=cache`), by id: as the Dockerfile has it, else the target. Errors of all: `not-found`,
 * `unavailable` for one that a running step holds.
 */
export interface LocalCacheMounts {
  list(): Promise<readonly CacheMountInfo[]>;
  /** Removes them, or none of them; the bytes that freed. */
  remove(ids: readonly string[]): Promise<{ readonly freedBytes: number }>;
  /** Writes its files as a tar archive, with their owners, to a path or a stream, which is ended. Of several directories, the one used last. */
  export(request: ExportMountRequest): Promise<{ readonly sizeBytes: number }>;
  /** Fills it with the files of a tar archive, in place of those it holds. One that no step has used yet gets them when the first one does. */
  import(request: ImportMountRequest): Promise<void>;
}

export interface CacheMountInfo {
  readonly id: string;
  /** What it takes on disk, all its directories together: private ones may have several. */
  readonly sizeBytes: number;
  readonly directories: number;
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number;
  readonly inUse: boolean;
}

export interface ExportMountRequest {
  readonly signal?: AbortSignal;
  readonly id: string;
  readonly dest: string | NodeJS.WritableStream;
}

export interface ImportMountRequest {
  readonly signal?: AbortSignal;
  readonly id: string;
  /** A file or a stream; it may be compressed. */
  readonly from: ArchiveSource;
}

/** What the tools work with. */
export type MountToolsEngine = Pick<PruneEngine, "cacheMounts" | "plane" | "layers" | "dirs" | "owner">;

/** All cache mounts, by id. Those that were used since are measured. */
export async function listCacheMounts(engine: MountToolsEngine): Promise<readonly CacheMountInfo[]> {
  const infos = new Map<string, CacheMountInfo>();
  for (const mount of engine.cacheMounts.list()) {
    const id = shownCacheMountId(mount.id);
    const known = infos.get(id) ?? { id, sizeBytes: 0, directories: 0, lastUsedAt: 0, inUse: false };
    const inUse = engine.cacheMounts.isInUse(mount);
    infos.set(id, {
      id,
      sizeBytes: known.sizeBytes + (await sizeOf(engine, mount, inUse)),
      directories: known.directories + 1,
      lastUsedAt: Math.max(known.lastUsedAt, mount.usedAt),
      inUse: known.inUse || inUse,
    });
  }
  return [...infos.values()];
}

async function sizeOf(
  { cacheMounts, plane, dirs }: MountToolsEngine,
  mount: StoredCacheMount,
  inUse: boolean,
): Promise<number> {
  if (!isAsItWas(dirs, { id: mount.layer, stamp: null })) return 0; // the next step that uses it finds it empty
  if (mount.sizeBytes !== undefined) return mount.sizeBytes;
  const [room] = await plane.run("measureRoom", { layers: [mount.layer] });
  const sizeBytes = room?.sizeBytes ?? 0;
  if (!inUse) await cacheMounts.noteSize(mount, sizeBytes);
  return sizeBytes;
}

/** See `LocalCacheMounts.remove`. */
export async function removeCacheMounts(
  engine: MountToolsEngine,
  ids: readonly string[],
): Promise<{ readonly freedBytes: number }> {
  const { cacheMounts } = engine;
  const mounts = ids.flatMap((id) => mountsOf(engine, id));
  const held = mounts.find((mount) => cacheMounts.isInUse(mount));
  if (held) throw inUseError(held.id);
  let freedBytes = 0;
  for (const mount of mounts) {
    const sizeBytes = await sizeOf(engine, mount, false);
    if (!(await withReserve(engine.dirs, () => cacheMounts.remove(mount)))) throw inUseError(mount.id);
    freedBytes += sizeBytes;
  }
  return { freedBytes };
}

/** See `LocalCacheMounts.export`. */
export async function exportCacheMount(
  engine: MountToolsEngine,
  { id, dest, ...options }: ExportMountRequest,
): Promise<{ readonly sizeBytes: number }> {
  return withNewest(engine, id, async ({ layer, selector }) => {
    const parts = [{ tree: [layer], selector }];
    if (typeof dest === "string") {
      let sizeBytes = 0;
      await writeFileTo(dest, async (output) => {
        ({ sizeBytes } = await engine.plane.run("tarTree", { parts, output }, options));
      });
      return { sizeBytes };
    }
    const directory = mkdtempSync(path.join(engine.dirs.tmp, `${engine.owner}-mount-`));
    try {
      const output = path.join(directory, "mount.tar");
      const written = await engine.plane.run("tarTree", { parts, output }, options);
      await pipeline(createReadStream(output), dest, options);
      return written;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** See `LocalCacheMounts.import`. */
export async function importCacheMount(
  engine: MountToolsEngine & Unpacking,
  { id, from, ...options }: ImportMountRequest,
): Promise<void> {
  if (id === "") throw new EngineError("invalid", "a cache mount has an id");
  await using scope = new Scope();
  const workspace = await engine.layers.create([]);
  let isKept = false;
  scope.defer(() => (isKept ? undefined : engine.layers.abandon(workspace)));
  await unpackFiles(engine, { from, workspace }, { ...options, scope });
  const known = engine.cacheMounts.list().filter((mount) => isCalled(mount, id) && !isImported(mount));
  if (known.length > 0) {
    await withNewest(engine, id, async (mount) => {
      const { layer, selector } = mount;
      if (!(await engine.plane.run("refillLayer", { from: workspace.layer, to: layer, selector }, options)))
        throw new EngineError("failed", `what the cache mount ${id} mounts is no directory`);
      const { sizeBytes } = await engine.plane.run("measureLayer", { layer }, options);
      await engine.cacheMounts.noteSize(mount, sizeBytes);
    });
    return;
  }
  await engine.cacheMounts.keepImported(`/${id}`, workspace);
  isKept = true;
}

/** Does WORK with the directory of ID that was used last, while no step can use it. */
async function withNewest<T>(
  engine: MountToolsEngine,
  id: string,
  work: (mount: StoredCacheMount) => Promise<T>,
): Promise<T> {
  const [newest] = [...mountsOf(engine, id)].sort((a, b) => b.usedAt - a.usedAt);
  using lock = newest && engine.cacheMounts.lock(newest);
  if (!newest || !lock) throw inUseError(id);
  return await work(newest);
}

function mountsOf({ cacheMounts }: MountToolsEngine, id: string): readonly StoredCacheMount[] {
  const mounts = cacheMounts.list().filter((mount) => isCalled(mount, id));
  if (mounts.length > 0) return mounts;
  throw new EngineError("not-found", `no cache mount is called ${JSON.stringify(id)}`, {
    hint: "ashlar cache mounts ls lists them; without id= in the Dockerfile it is the target",
  });
}

/** By its id, with or without the slash that stands for the blank name space. */
function isCalled(mount: Pick<StoredCacheMount, "id">, id: string): boolean {
  return shownCacheMountId(mount.id) === id || mount.id === id;
}

function isImported({ key, id }: StoredCacheMount): boolean {
  return key === importedMountKey(id);
}

function inUseError(id: string): EngineError {
  return new EngineError("unavailable", `the cache mount ${shownCacheMountId(id)} is in use by a running step`);
}
