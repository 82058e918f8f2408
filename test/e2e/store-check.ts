import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { connect, type SqliteConnection } from "../../src/store/sqlite.js";
import { owners } from "./world.js";

/** What has just happened to a state directory on which no engine runs: an engine was there and swept, or everything unused was pruned. */
export type Moment = "swept" | "pruned";

/**
 * Everything in a state directory at rest that lies, looked at by other means than the engine's own: damaged rows, records of layers that
 * aren't there, damaged blobs; and after a prune also what nobody needs: files of the dead, blobs and layers that nobody names.
 */
export function problemsOf(root: string, moment: Moment): readonly string[] {
  const file = path.join(root, "ashlar.db");
  const database = connect(file);
  try {
    return [
      ...damagedRows(database),
      ...danglingRecords(database, root),
      ...damagedBlobs(root),
      ...(moment === "pruned"
        ? [...leftovers(root), ...unusedLayers(database, root), ...unusedBlobs(database, root)]
        : []),
    ];
  } finally {
    database.close();
  }
}

type Rows = readonly Readonly<Record<string, unknown>>[];

function rows(database: SqliteConnection, sql: string): Rows {
  return database.prepare(sql).all() as Rows;
}

function list(...names: readonly string[]): readonly string[] {
  const directory = path.join(...names);
  return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
}

function damagedRows(database: SqliteConnection): readonly string[] {
  const state = rows(database, "PRAGMA integrity_check").map((row) => String(row.integrity_check));
  const broken = rows(database, "PRAGMA foreign_key_check").map(
    (row) => `a row of ${row.table} names none of ${row.parent}`,
  );
  const empty = rows(database, "SELECT id FROM record WHERE id NOT IN (SELECT record FROM key_record)");
  return [...(state[0] === "ok" ? [] : state), ...broken, ...empty.map(({ id }) => `record ${id} has no key`)];
}

function danglingRecords(database: SqliteConnection, root: string): readonly string[] {
  const layers = new Map(rows(database, "SELECT id, state, origin FROM layer").map((row) => [row.id, row]));
  const problems: string[] = [];
  for (const { record, layer } of rows(database, "SELECT record, layer FROM record_layer"))
    if (!layers.has(layer)) problems.push(`record ${record} names layer ${layer}, which is gone`);
  for (const { id, state, origin } of layers.values()) {
    const here = fs.existsSync(path.join(root, "layers", String(id), "fs"));
    if (state === "ready" && !here) problems.push(`layer ${id} is ready but not there`);
    if (state === "lazy" && origin === null) problems.push(`layer ${id} can be had from nowhere`);
    if (state === "active") problems.push(`layer ${id} is made by nobody`);
  }
  for (const { key, layer } of rows(database, "SELECT key, layer FROM cache_mount"))
    if (layers.get(layer)?.state !== "ready") problems.push(`cache mount ${key} names layer ${layer}, which is gone`);
  for (const { name, target } of rows(database, "SELECT name, target FROM images")) {
    for (const digest of documentsOf(root, JSON.parse(String(target)).digest).missing)
      problems.push(`image ${name} lacks ${digest}`);
  }
  return problems;
}

/** The documents and layers that an image's descriptor leads to. */
function documentsOf(
  root: string,
  digest: string,
): { readonly blobs: string[]; readonly missing: string[]; readonly chains: string[] } {
  const found = { blobs: [digest], missing: [] as string[], chains: [] as string[] };
  const file = blobFile(root, digest);
  if (!fs.existsSync(file)) {
    found.missing.push(digest);
    return found;
  }
  const { manifests = [], config, layers = [] } = JSON.parse(fs.readFileSync(file, "utf8"));
  for (const manifest of manifests) {
    const below = documentsOf(root, manifest.digest);
    found.blobs.push(...below.blobs);
    found.chains.push(...below.chains);
  }
  if (!config) return found;
  found.blobs.push(config.digest, ...layers.map((layer: { digest: string }) => layer.digest));
  if (!fs.existsSync(blobFile(root, config.digest))) found.missing.push(config.digest);
  else if (!/in-toto/.test(JSON.stringify(layers))) {
    const { rootfs } = JSON.parse(fs.readFileSync(blobFile(root, config.digest), "utf8"));
    for (const diffId of rootfs.diff_ids) {
      const below = found.chains.at(-1);
      found.chains.push(below ? `sha256:${createHash("sha256").update(`${below} ${diffId}`).digest("hex")}` : diffId);
    }
  }
  return found;
}

function blobFile(root: string, digest: string): string {
  return path.join(root, "blobs", ...digest.split(":"));
}

function damagedBlobs(root: string): readonly string[] {
  return list(root, "blobs", "sha256")
    .filter((hex) => {
      const content = fs.readFileSync(path.join(root, "blobs", "sha256", hex));
      return createHash("sha256").update(content).digest("hex") !== hex;
    })
    .map((hex) => `blob ${hex} holds something else`);
}

function leftovers(root: string): readonly string[] {
  const places = ["tmp", "ingest", "run", "mnt"].flatMap((place) =>
    list(root, place).map((name) => `${place}/${name}`),
  );
  const probes = list(root, "layers").filter((name) => !/^(\d+|empty|marked-whiteout)$/.test(name));
  return [...places, ...probes, ...owners(root)].map((name) => `left behind: ${name}`);
}

function unusedLayers(database: SqliteConnection, root: string): readonly string[] {
  const known = new Set(rows(database, "SELECT id FROM layer").map(({ id }) => String(id)));
  const chains = new Set(imageDocuments(database, root).flatMap((image) => image.chains));
  const idle = rows(
    database,
    "SELECT id, chain_id FROM layer WHERE id NOT IN (SELECT layer FROM record_layer) AND id NOT IN (SELECT layer FROM cache_mount)",
  ).filter(({ chain_id }) => !chains.has(String(chain_id)));
  return [
    ...list(root, "layers")
      .filter((name) => /^\d+$/.test(name) && !known.has(name))
      .map((name) => `nobody knows layers/${name}`),
    ...idle.map(({ id }) => `nobody needs layer ${id}`),
  ];
}

function unusedBlobs(database: SqliteConnection, root: string): readonly string[] {
  const used = new Set(imageDocuments(database, root).flatMap(({ blobs }) => blobs));
  for (const { descriptor } of rows(database, "SELECT descriptor FROM layer_blob"))
    used.add(JSON.parse(String(descriptor)).descriptor.digest);
  for (const { blob } of rows(database, "SELECT blob FROM layer WHERE blob IS NOT NULL"))
    used.add(JSON.parse(String(blob)).digest);
  return list(root, "blobs", "sha256")
    .filter((hex) => !used.has(`sha256:${hex}`))
    .map((hex) => `nobody needs blob ${hex}`);
}

function imageDocuments(database: SqliteConnection, root: string): readonly ReturnType<typeof documentsOf>[] {
  const targets = rows(database, "SELECT target FROM images UNION SELECT target FROM resolved_references");
  return targets.map(({ target }) => documentsOf(root, JSON.parse(String(target)).digest));
}
