import { EngineError, firstError, messageOf } from "../../base/index.js";
import type { EngineOptions, PruneRequest, PruneResult, StoreFault } from "../../engine/index.js";
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
    const { freedBytes, records, entries } = await pruneSound(
      { ...options, signal },
      { ...request, signal },
      surroundings,
    );
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

/** Prunes. All of a state directory whose database is damaged is what that has forgotten. */
async function pruneSound(
  options: EngineOptions,
  request: PruneRequest,
  surroundings: Surroundings,
): Promise<PruneResult> {
  const prune = async (more: Partial<EngineOptions>) => {
    await using engine = await surroundings.openEngine({ ...options, ...more });
    return await engine.prune(request);
  };
  try {
    return await prune({});
  } catch (error) {
    if (!request.all || request.dryRun || !isDamagedDatabase(error)) throw error;
    const result = await prune({ replaceDamaged: true });
    surroundings.stderr.write("The metadata database was damaged. A new one is in its place, which knows no images.\n");
    return result;
  }
}

/** The engine is loaded late, so its error is known by its name. */
function isDamagedDatabase(error: unknown): boolean {
  const first = firstError(error);
  return first instanceof EngineError && first.name === "DamagedDatabase";
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
  const options = parseEngine(flags, ambientOf(surroundings));
  return untilStopped(surroundings, async (signal) => {
    const faults = await faultsOf({ ...options, signal }, surroundings);
    if (faults.length === 0) surroundings.stdout.write("Everything is in order.\n");
    for (const { kind, description } of faults) surroundings.stdout.write(`${kind}: ${description}\n`);
    for (const line of remedies(new Set(faults.map(({ kind }) => kind)))) surroundings.stdout.write(`${line}\n`);
    return faults.length === 0 ? 0 : 1;
  });
}

async function faultsOf(options: EngineOptions, surroundings: Surroundings): Promise<readonly StoreFault[]> {
  try {
    await using engine = await surroundings.openEngine(options);
    return await engine.verify(options.signal ? { signal: options.signal } : {});
  } catch (error) {
    if (!isDamagedDatabase(error)) throw error;
    return [{ kind: "damaged database", description: messageOf(firstError(error)) }];
  }
}

/** What to do about faults of KINDS. */
function remedies(kinds: ReadonlySet<StoreFault["kind"]>): readonly string[] {
  const has = (...some: StoreFault["kind"][]) => some.some((kind) => kinds.has(kind));
  if (has("damaged database"))
    return ["`ashlar prune --all` puts a new database in its place; images have to be built or pulled again."];
  const lines: string[] = [];
  if (has("damaged layer", "lost layer", "damaged blob", "dangling record"))
    lines.push(
      "What is damaged is not used any more: the next build makes or fetches it again, and `ashlar prune` removes it.",
    );
  if (has("damaged image")) lines.push("Build or pull the damaged images again, or remove them with `ashlar rmi`.");
  if (has("unreferenced layer", "unreferenced blob", "leftover file", "dead lease"))
    lines.push("`ashlar prune` removes what was left over.");
  if (has("mount")) lines.push("Take the mounts away with umount(8).");
  if (has("failed check"))
    lines.push("What could not be looked at may be damaged: mend what the message says, and check again.");
  return lines;
}
