import fs from "node:fs";
import path from "node:path";
import { EngineError, messageOf, systemCode } from "../base/index.js";
import {
  boundBytes,
  type CacheBounds,
  type CachePolicy,
  type DiskSpace,
  defaultPolicies,
  type SizeBound,
} from "../cache/index.js";
import { parseToml } from "../registry/index.js";
import { type ConfigFile, ConfigTable } from "./config-table.js";

export interface CacheConfigOptions {
  /** Files like `buildkitd.toml`; the first that is there counts. */
  readonly files: readonly string[];
  /** In place of what a file says. */
  readonly maxUsed?: SizeBound | undefined;
  readonly disk: DiskSpace;
  /** Told a sentence of what in a file counts for nothing. */
  readonly onWarning: (message: string) => void;
}

/** The policies that the state directory is held to. Throws `invalid` for a file that can't be read, with its place. */
export function loadCachePolicies({ files, maxUsed, disk, onWarning }: CacheConfigOptions): readonly CachePolicy[] {
  const settings = readSettings(files, onWarning);
  if (maxUsed !== undefined) return defaultPolicies(disk, { ...belowBound(settings?.bounds, maxUsed, disk), maxUsed });
  if (settings?.isOff) return [];
  const { policies = [] } = settings ?? {};
  return policies.length > 0
    ? policies.map((policy) => policyOf(policy, disk))
    : defaultPolicies(disk, settings?.bounds);
}

/** What a file reserves is not more than the bound that somebody sets beside it. */
function belowBound({ reserved, ...others }: Partial<CacheBounds> = {}, maxUsed: SizeBound, disk: DiskSpace) {
  if (reserved === undefined) return others;
  return { ...others, reserved: { bytes: Math.min(boundBytes(reserved, disk), boundBytes(maxUsed, disk)) } };
}

/** What a file says of the cache's size. */
interface Settings {
  readonly isOff: boolean;
  /** In place of those that are there by themselves, if there are any. */
  readonly policies: readonly ConfigTable[];
  readonly bounds: Partial<CacheBounds>;
}

function readSettings(files: readonly string[], onWarning: (message: string) => void): Settings | undefined {
  for (const file of files) {
    const text = readIfThere(file);
    if (text !== undefined) return settingsOf(text, { path: file, lines: new Map(), onWarning });
  }
  return undefined;
}

function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new EngineError("denied", `reading ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function settingsOf(text: string, file: ConfigFile): Settings | undefined {
  const document = new ConfigTable(parseToml(text, file.path, file.lines), "", file);
  document.expect(["gc", ...BUILDKITD_KEYS]);
  const workers = document.table("worker");
  workers.expect(WORKERS);
  const found = WORKERS.map((name) => workers.table(name));
  for (const worker of found) worker.expect([...WORKER_GC_KEYS, ...WORKER_KEYS]);
  const sized = found.filter((worker) => WORKER_GC_KEYS.some((key) => worker.has(key)));
  if (document.has("gc")) {
    const [unused] = sized;
    if (unused)
      file.onWarning(`${file.path}: what ${unused.name} says of the cache's size counts for nothing beside [gc]`);
    return ownSettings(document.table("gc"));
  }
  const [first] = sized.filter((worker) => worker.boolean("enabled") !== false);
  return first && workerSettings(first);
}

function ownSettings(gc: ConfigTable): Settings {
  gc.expect(["enabled", "policy", ...BOUND_KEYS, "gckeepstorage"]);
  const own = boundsOf(gc);
  const bounds = Object.keys(own).length > 0 ? own : keptBounds(gc);
  return { isOff: gc.boolean("enabled") === false, policies: checked(gc.tables("policy")), bounds };
}

/** As buildkitd has it, where bounds that aren't written don't hold beside one that is. */
function workerSettings(worker: ConfigTable): Settings {
  const own = boundsOf(worker);
  const none = { bytes: 0 };
  const everything = { percent: 100 };
  const others = { reserved: none, minFree: none, maxUsed: own.minFree ? everything : (own.reserved ?? everything) };
  const bounds = Object.keys(own).length > 0 ? { ...others, ...own } : keptBounds(worker);
  return { isOff: worker.boolean("gc") === false, policies: checked(worker.tables("gcpolicy")), bounds };
}

function checked(policies: readonly ConfigTable[] | undefined): readonly ConfigTable[] {
  for (const policy of policies ?? []) policy.expect([...BOUND_KEYS, "all", "filters", "keepDuration", "keepBytes"]);
  return policies ?? [];
}

function boundsOf(table: ConfigTable): Partial<CacheBounds> {
  const [reserved, maxUsed, minFree] = [
    table.size("reservedSpace"),
    table.size("maxUsedSpace"),
    table.size("minFreeSpace"),
  ];
  return { ...(reserved && { reserved }), ...(maxUsed && { maxUsed }), ...(minFree && { minFree }) };
}

/** The old name of `reservedSpace`, which counts where nothing else is said: all above it goes. */
function keptBounds(table: ConfigTable): Partial<CacheBounds> {
  const kept = table.size("gckeepstorage");
  return kept ? { reserved: kept, maxUsed: kept } : {};
}

const BOUND_KEYS = ["reservedSpace", "maxUsedSpace", "minFreeSpace"];
const WORKERS = ["oci", "containerd"];
const WORKER_GC_KEYS = ["gc", "gckeepstorage", ...BOUND_KEYS, "gcpolicy"];

/** What else a `buildkitd.toml` may say: it counts for nothing here, and is no mistake. */
const BUILDKITD_KEYS = [
  ...["debug", "trace", "root", "insecure-entitlements", "proxyNetwork", "log", "grpc", "otel", "cdi", "worker"],
  ...["registry", "dns", "history", "frontend", "system", "provenanceEnvDir", "cache"],
];
const WORKER_KEYS = [
  ...["enabled", "labels", "platforms", "snapshotter", "rootless", "noProcessSandbox", "networkMode", "cniConfigPath"],
  ...["cniBinaryPath", "cniPoolSize", "bridgeName", "bridgeSubnet", "userRemapUnsupported", "binary"],
  ...["proxySnapshotterPath", "defaultCgroupParent", "stargzSnapshotter", "apparmor-profile", "selinux"],
  ...["max-parallelism", "address", "namespace", "runtime"],
];

function policyOf(table: ConfigTable, disk: DiskSpace): CachePolicy {
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

/**
 * Where the policies are written: as for registries, the user's own file before the machine's, or the one that the environment names.
 * Throws `invalid` where that isn't there.
 */
export function cacheConfigFiles(env: Readonly<Record<string, string | undefined>>, home: string): readonly string[] {
  const named = env.ASHLAR_CONFIG;
  if (named && !fs.existsSync(named))
    throw new EngineError("invalid", `reading how large the cache may be from ${named} (ASHLAR_CONFIG): no such file`);
  if (named) return [named];
  const own = env.XDG_CONFIG_HOME || path.join(home, ".config");
  return [path.join(own, "ashlar/ashlar.toml"), "/etc/ashlar/ashlar.toml"];
}
