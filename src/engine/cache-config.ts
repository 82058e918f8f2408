import fs from "node:fs";
import path from "node:path";
import { bytesOf, durationOf, EngineError, messageOf, systemCode } from "../base/index.js";
import {
  boundBytes,
  type CacheBounds,
  type CachePolicy,
  type DiskSpace,
  defaultPolicies,
  parseUsageFilter,
  type SizeBound,
  type UsageFilter,
} from "../cache/index.js";
import { parseToml, type TomlTable, type TomlValue } from "../registry/index.js";

export interface CacheConfigOptions {
  /** Files like the worker tables of `buildkitd.toml`; the first that is there counts. */
  readonly files: readonly string[];
  /** In place of what a file says. */
  readonly maxUsed?: SizeBound | undefined;
  readonly disk: DiskSpace;
}

/** The policies that the state directory is held to. Throws `invalid` for a file that can't be read, with its place. */
export function loadCachePolicies({ files, maxUsed, disk }: CacheConfigOptions): readonly CachePolicy[] {
  const file = files.find((each) => fs.existsSync(each));
  const table = file === undefined ? undefined : gcTable(file);
  const reader = new TableReader(table ?? {}, file ?? "");
  if (maxUsed === undefined && reader.boolean("enabled") === false) return [];
  const written = table?.policy;
  if (maxUsed === undefined && Array.isArray(written))
    return written.map((each) => policyOf(new TableReader(asTable(each, file ?? ""), file ?? ""), disk));
  const bounds: { -readonly [K in keyof CacheBounds]?: CacheBounds[K] } = {};
  const [reserved, most, free] = [
    reader.size("reservedSpace"),
    maxUsed ?? reader.size("maxUsedSpace"),
    reader.size("minFreeSpace"),
  ];
  if (reserved) bounds.reserved = reserved;
  if (most) bounds.maxUsed = most;
  if (free) bounds.minFree = free;
  return defaultPolicies(disk, bounds);
}

function gcTable(file: string): TomlTable | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new EngineError("denied", `reading ${file}: ${messageOf(error)}`, { cause: error });
  }
  const { gc } = parseToml(text, file);
  return gc === undefined ? undefined : asTable(gc, file);
}

function asTable(value: TomlValue, file: string): TomlTable {
  if (typeof value === "object" && !Array.isArray(value)) return value as TomlTable;
  throw new EngineError("invalid", `${file}: gc is [gc] and [[gc.policy]]`);
}

function policyOf(table: TableReader, disk: DiskSpace): CachePolicy {
  const bytes = (key: string) => {
    const bound = table.size(key);
    return bound && boundBytes(bound, disk);
  };
  return {
    all: table.boolean("all") ?? false,
    filters: table.filters("filters"),
    keepDurationMs: table.duration("keepDuration") ?? 0,
    reservedBytes: bytes("reservedSpace") ?? bytes("keepBytes"),
    maxUsedBytes: bytes("maxUsedSpace"),
    minFreeBytes: bytes("minFreeSpace"),
  };
}

/** Reads values as buildkitd takes them: numbers, or texts with a unit. */
class TableReader {
  readonly #table: TomlTable;
  readonly #file: string;

  constructor(table: TomlTable, file: string) {
    this.#table = table;
    this.#file = file;
  }

  boolean(key: string): boolean | undefined {
    const value = this.#table[key];
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#mistake(key, "true or false");
  }

  size(key: string): SizeBound | undefined {
    const value = this.#table[key];
    if (value === undefined) return undefined;
    const bound = sizeBound(String(value));
    if (bound === undefined) throw this.#mistake(key, 'a size such as 512000000, "20GB" or "10%"');
    return bound;
  }

  /** Milliseconds. */
  duration(key: string): number | undefined {
    const value = this.#table[key];
    if (value === undefined) return undefined;
    const ms = durationOf(String(value));
    if (ms === undefined) throw this.#mistake(key, 'a duration such as "48h", or seconds');
    return ms;
  }

  filters(key: string): readonly UsageFilter[] {
    const value = this.#table[key] ?? [];
    if (!Array.isArray(value)) throw this.#mistake(key, 'a list such as ["type==source.local"]');
    return value.map((text) => parseUsageFilter(String(text)));
  }

  #mistake(key: string, wanted: string): EngineError {
    return new EngineError("invalid", `${this.#file}: ${key} of gc must be ${wanted}`);
  }
}

/** Undefined for what is neither bytes nor a share of the disk. */
function sizeBound(text: string): SizeBound | undefined {
  const [, percent] = /^(\d{1,3})%$/.exec(text) ?? [];
  if (percent !== undefined) return Number(percent) <= 100 ? { percent: Number(percent) } : undefined;
  const bytes = bytesOf(text);
  return bytes === undefined ? undefined : { bytes };
}

/** Where the policies are written: as for registries, the user's own file before the machine's. */
export function cacheConfigFiles(env: Readonly<Record<string, string | undefined>>, home: string): readonly string[] {
  if (env.ASHLAR_CONFIG) return [env.ASHLAR_CONFIG];
  const own = env.XDG_CONFIG_HOME || path.join(home, ".config");
  return [path.join(own, "ashlar/ashlar.toml"), "/etc/ashlar/ashlar.toml"];
}
