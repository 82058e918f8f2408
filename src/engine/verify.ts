import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, type Digest, errorCode, messageOf } from "../base/index.js";
import { deadOwners, type LayerId, ownerIsAlive } from "../snapshot/index.js";
import { DamagedDatabase } from "../store/index.js";
import { strayLayers } from "./garbage.js";
import { takeInventory } from "./inventory.js";
import type { PruneEngine } from "./prune.js";
import type { Unit } from "./stored-units.js";
import { isAlone } from "./sweep.js";
import { damagedBlobs, damagedLayers, distrust, imageFaults, layerFaults, mountFaults } from "./verify-contents.js";

/** Something in the state directory that isn't as it should be. */
export interface StoreFault {
  /**
   * What a build could stumble over: a `dangling record`, a `lost layer`, a `damaged layer`, `damaged image` or `damaged blob`, a `damaged
   * database`. What was left over, and goes with a prune: an `unreferenced layer` or `unreferenced blob`, a `leftover file`, `dead lease`. A
   * `mount` that nobody took away. A `failed check`: something could not be looked at.
   */
  readonly kind: FaultKind;
  /** A sentence's worth. */
  readonly description: string;
}

type FaultKind =
  | "damaged database"
  | "dangling record"
  | "lost layer"
  | "damaged layer"
  | "damaged image"
  | "damaged blob"
  | "failed check"
  | "unreferenced layer"
  | "unreferenced blob"
  | "leftover file"
  | "dead lease"
  | "mount";

/**
 * Looks whether all that is recorded is there and holds what it did, and all that is there is recorded. Reads everything, removes nothing; but
 * what turns out to be damaged is not relied on any more.
 */
export async function verifyStore(engine: PruneEngine, options: AbortOptions = {}): Promise<readonly StoreFault[]> {
  const faults = new Map<string, StoreFault>();
  const look = async <T>(at: string, find: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await find();
    } catch (error) {
      if (errorCode(error) === "canceled") throw error;
      const kind = error instanceof DamagedDatabase ? "damaged database" : "failed check";
      const description = error instanceof DamagedDatabase ? messageOf(error) : `${at}: ${messageOf(error)}`;
      faults.set(`${kind} ${description}`, { kind, description });
      return undefined;
    }
  };
  const found: (readonly StoreFault[] | undefined)[] = [];
  found.push(await look("the database", () => databaseFaults(engine)));
  found.push(await look("records", () => recordFaults(engine)));
  const layers = (await look("layers", () => damagedLayers(engine, options))) ?? new Map<LayerId, string>();
  found.push(await look("layers", () => layerFaults(engine, layers)));
  found.push(await look("cache mounts", () => mountFaults(engine)));
  const blobs = (await look("blobs", () => damagedBlobs(engine, options))) ?? new Set<Digest>();
  found.push(await look("images", () => imageFaults(engine, { layers, blobs })));
  found.push(await look("what nothing needs", () => unreferenced(engine, options)));
  found.push(await look("files", () => leftovers(engine)));
  found.push(await look("mounts", () => mounts(engine)));
  await look("layers", () => distrust(engine, { layers, blobs }));
  return [...faults.values(), ...found.flatMap((each) => each ?? [])];
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
     WHERE NOT EXISTS (SELECT 1 FROM record_layer AS listed WHERE listed.record = record.id AND listed.layer = each.value)`,
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
    ...(isAlone(engine.dirs, engine.owner) ? strayLayers(engine) : []).map(
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
