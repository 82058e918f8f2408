import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import { isConfirmed } from "../confirmation.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { parseUsageQuery } from "../usage-filter.js";
import { usageText } from "../usage-text.js";
import { parseSizeBound } from "../values.js";
import { ambientOf } from "./engine-flags.js";

export interface PruneFlags {
  readonly root?: string;
  readonly all?: boolean;
  readonly force?: boolean;
  readonly filter?: readonly string[];
  readonly keepStorage?: string;
  readonly reservedSpace?: string;
  readonly maxUsedSpace?: string;
  readonly minFreeSpace?: string;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
  readonly check?: boolean;
}

/** `ashlar prune`: removes images without a name and build cache, after asking; or with --check looks whether all is in order. */
export async function pruneCommand(flags: PruneFlags, surroundings: Surroundings): Promise<number> {
  if (flags.check) return checkStore(flags, surroundings);
  const conditions = await conditionsOf(flags);
  const request = { all: flags.all === true, dryRun: flags.dryRun === true, ...conditions };
  const question = `WARNING! This will remove ${subject(conditions, request.all)}.`;
  if (!flags.force && !flags.dryRun && !(await isConfirmed(question, surroundings))) return 0;
  const options = parseEngine(flags, ambientOf(surroundings));
  return untilStopped(surroundings, async (signal) => {
    await using engine = await surroundings.openEngine({ ...options, signal });
    const { freedBytes, records, entries } = await engine.prune({ ...request, signal });
    const format = flags.verbose ? "pretty" : undefined;
    const isListed = entries.length > 0 && (flags.dryRun || flags.verbose);
    const listing = isListed ? usageText(entries, format, surroundings.clock.now()) : "";
    const count = `${records} record${records === 1 ? "" : "s"}`;
    const [removed, reclaimed] = flags.dryRun
      ? [`Would remove ${count}`, "Would reclaim"]
      : [`Removed ${count}`, "Total reclaimed space"];
    surroundings.stdout.write(`${listing}${removed}\n${reclaimed}: ${formatBytes(freedBytes)}\n`);
    return 0;
  });
}

type Conditions = Awaited<ReturnType<typeof conditionsOf>>;

function subject({ filters, ...bounds }: Conditions, all: boolean): string {
  const isPart = filters.length > 0 || Object.values(bounds).some((bound) => bound !== undefined);
  if (isPart) return "the build cache that these conditions hold of";
  return `all dangling images and ${all ? "all build cache" : "build cache that nothing uses"}`;
}

async function conditionsOf(flags: PruneFlags) {
  const bytes = (text: string | undefined, flag: string) => {
    const bound = text === undefined ? undefined : parseSizeBound(text, flag);
    return bound && "bytes" in bound ? bound.bytes : bound;
  };
  if (flags.keepStorage !== undefined && flags.reservedSpace !== undefined)
    throw new UsageError("--keep-storage is the old name of --reserved-space: give one of them");
  return {
    ...(await parseUsageQuery(flags.filter ?? [])),
    reservedBytes: bytes(flags.keepStorage, "--keep-storage") ?? bytes(flags.reservedSpace, "--reserved-space"),
    maxUsedBytes: bytes(flags.maxUsedSpace, "--max-used-space"),
    minFreeBytes: bytes(flags.minFreeSpace, "--min-free-space"),
  };
}

async function checkStore(flags: PruneFlags, surroundings: Surroundings): Promise<number> {
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const faults = await engine.verify();
  if (faults.length === 0) surroundings.stdout.write("Everything is in order.\n");
  for (const { kind, description } of faults) surroundings.stdout.write(`${kind}: ${description}\n`);
  return faults.length === 0 ? 0 : 1;
}
