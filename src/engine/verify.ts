import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, errorCode, messageOf } from "../base/index.js";
import {
  type Descriptor,
  familiarReference,
  parseReference,
  readImageConfig,
  readManifestOrIndex,
} from "../oci/index.js";
import { deadOwners, ownerIsAlive } from "../snapshot/index.js";
import type { StoredEntry } from "../store/index.js";
import { strayLayers } from "./garbage.js";
import { chainIds } from "./image-contents.js";
import { takeInventory } from "./inventory.js";
import type { PruneEngine } from "./prune.js";
import type { Unit } from "./stored-units.js";
import { isAlone } from "./sweep.js";

/** Something in the state directory that isn't as it should be. */
export interface StoreFault {
  /**
   * What a build could stumble over: a `dangling record`, a `lost layer`, a `damaged image`, a `damaged database`. What was left over, and
   * goes with a prune: an `unreferenced layer` or `unreferenced blob`, a `leftover file`, `dead lease`. A `mount` that nobody took away.
   */
  readonly kind: FaultKind;
  /** A sentence's worth. */
  readonly description: string;
}

type FaultKind =
  | "damaged database"
  | "dangling record"
  | "lost layer"
  | "damaged image"
  | "unreferenced layer"
  | "unreferenced blob"
  | "leftover file"
  | "dead lease"
  | "mount";

/** Looks whether all that is recorded is there, and all that is there is recorded. Removes nothing; blobs are not read. */
export async function verifyStore(engine: PruneEngine, options: AbortOptions = {}): Promise<readonly StoreFault[]> {
  return [
    ...databaseFaults(engine),
    ...recordFaults(engine),
    ...layerFaults(engine),
    ...(await imageFaults(engine)),
    ...(await unreferenced(engine, options)),
    ...leftovers(engine),
    ...mounts(engine),
  ];
}

function databaseFaults({ database }: PruneEngine): StoreFault[] {
  const kind = "damaged database";
  const checks = database.all<{ quick_check: string }>("PRAGMA quick_check");
  const torn = database.all<{ table: string; parent: string }>("PRAGMA foreign_key_check");
  return [
    ...checks
      .filter(({ quick_check: said }) => said !== "ok")
      .map(({ quick_check: description }) => ({ kind, description }) as const),
    ...torn.map(
      ({ table, parent }) => ({ kind, description: `a row of ${table} names one of ${parent} that is gone` }) as const,
    ),
  ];
}

function recordFaults({ database, dirs }: PruneEngine): StoreFault[] {
  const gone = database.all<{ id: string; description: string; layer: number }>(
    `SELECT id, description, layer FROM record JOIN record_layer ON record = id
     WHERE layer NOT IN (SELECT id FROM layer WHERE state <> 'active')`,
  );
  const unlisted = database.all<{ id: string; description: string; layer: number }>(
    `SELECT DISTINCT record.id, record.description, each.value AS layer
     FROM record, json_each(record.results) AS tree, json_each(tree.value) AS each
     WHERE each.value NOT IN (SELECT layer FROM record_layer AS listed WHERE listed.record = record.id)`,
  );
  const leases = database.all<{ owner: string; kind: string; target: string }>("SELECT owner, kind, target FROM lease");
  const dead = leases.filter(({ owner }) => !ownerIsAlive(dirs.owners, owner));
  return [
    ...[...gone, ...unlisted].map(
      ({ id, description, layer }) =>
        ({
          kind: "dangling record",
          description: `${id} (${description}) is made of layer ${layer}, which is gone`,
        }) as const,
    ),
    ...dead.map(
      ({ owner, kind, target }) => ({ kind: "dead lease", description: `${owner} has ${kind} ${target}` }) as const,
    ),
  ];
}

function layerFaults({ database, dirs }: PruneEngine): StoreFault[] {
  const ready = database.all<{ id: number }>("SELECT id FROM layer WHERE state = 'ready'");
  const lost = ready.filter(({ id }) => !fs.existsSync(path.join(dirs.layers, String(id), "fs")));
  const mounts = database.all<{ description: string; layer: number }>(
    "SELECT description, layer FROM cache_mount WHERE layer NOT IN (SELECT id FROM layer)",
  );
  return [
    ...lost.map(({ id }) => ({ kind: "lost layer", description: `layer ${id} has no files` }) as const),
    ...mounts.map(
      ({ description, layer }) =>
        ({ kind: "lost layer", description: `cache mount ${description}: layer ${layer} is gone` }) as const,
    ),
  ];
}

async function imageFaults(engine: PruneEngine): Promise<StoreFault[]> {
  const faults: StoreFault[] = [];
  for (const image of engine.images.list()) {
    const name = image.name === undefined ? image.target.digest : familiarReference(parseReference(image.name));
    for (const what of await imageDamage(engine, image))
      faults.push({ kind: "damaged image", description: `${name}: ${what}` });
  }
  return faults;
}

async function imageDamage({ store, database }: PruneEngine, image: StoredEntry): Promise<readonly string[]> {
  const lacks: string[] = [];
  const has = async ({ digest, size }: Descriptor): Promise<boolean> => (await store.info(digest))?.sizeBytes === size;
  if (!(await has(image.target))) lacks.push(`${image.target.digest} is gone`);
  for (const { manifest } of image.platforms) {
    try {
      const document = await readManifestOrIndex(store, manifest);
      if (document.kind === "index") continue;
      const { rootfs } = await readImageConfig(store, document.manifest);
      for (const [i, chain] of chainIds(rootfs.diff_ids).entries()) {
        const blob = document.manifest.layers[i];
        const known = database.get("SELECT 1 FROM layer WHERE chain_id = ?", chain) !== undefined;
        if (!known && !(blob && (await has(blob)))) lacks.push(`its layer ${i + 1} is gone`);
      }
    } catch (error) {
      if (errorCode(error) === "canceled") throw error;
      lacks.push(messageOf(error));
    }
  }
  return lacks;
}

async function unreferenced(engine: PruneEngine, options: AbortOptions): Promise<StoreFault[]> {
  const { items, pinned, sizes } = await takeInventory(engine, options);
  const needed = new Set<Unit>(pinned);
  for (const { thing, units } of items) if (thing.kind !== "unit") for (const unit of units) needed.add(unit);
  const { database, owner } = engine;
  const leaving = new Set<Unit>(
    database
      .all<{ id: number }>("SELECT id FROM layer WHERE owner = ? AND state = 'active'", owner)
      .map(({ id }) => id),
  );
  const units = items.filter(({ thing }) => thing.kind === "unit").flatMap((item) => item.units);
  const loose = units.filter((unit) => !needed.has(unit) && !leaving.has(unit) && sizes.has(unit));
  return [
    ...loose.map(
      (unit): StoreFault =>
        typeof unit === "number"
          ? { kind: "unreferenced layer", description: `layer ${unit}` }
          : { kind: "unreferenced blob", description: unit },
    ),
    ...strayLayers(engine).map(
      (id): StoreFault => ({ kind: "unreferenced layer", description: `the directory ${id}` }),
    ),
  ];
}

/** What living engines have is theirs; what can't be told apart counts only where there is no other. */
function leftovers({ dirs, owner, clock }: PruneEngine): StoreFault[] {
  const owners = namesIn(dirs.owners).filter((id) => ownerIsAlive(dirs.owners, id));
  const isOwned = (name: string) => owners.some((id) => name === id || name.startsWith(`${id}-`));
  const alone = isAlone(dirs, owner);
  const dead = deadOwners(dirs.owners, clock).map((id) => path.join(dirs.owners, id));
  const ingest = path.join(dirs.root, "ingest");
  const run = namesIn(dirs.run).filter((name) => !isOwned(name));
  const temporary = alone ? namesIn(dirs.tmp).filter((name) => !isOwned(name)) : [];
  const unfinished = alone ? namesIn(ingest) : [];
  const files = [
    ...dead,
    ...run.map((name) => path.join(dirs.run, name)),
    ...temporary.map((name) => path.join(dirs.tmp, name)),
    ...unfinished.map((name) => path.join(ingest, name)),
  ];
  return files.map((description) => ({ kind: "leftover file", description }));
}

/** Those that this process sees: engines make theirs where they go away with them. */
function mounts({ dirs }: PruneEngine): StoreFault[] {
  const root = fs.realpathSync(dirs.root);
  const lines = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.flatMap((line): StoreFault[] => {
    const target = (line.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 8)),
    );
    return target.startsWith(`${root}/`) ? [{ kind: "mount", description: target }] : [];
  });
}

function namesIn(directory: string): string[] {
  return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
}
