import path from "node:path";
import type { CacheMountInfo } from "../../engine/index.js";
import { formatBytes } from "../../progress/index.js";
import { archiveDestination } from "../archive-destination.js";
import { parseEngine } from "../build-request.js";
import { BROKEN_PIPE_CODE } from "../exit-codes.js";
import { type Listing, listed } from "../listing.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { formatAge } from "../table.js";
import { UsageError } from "../usage-error.js";
import { ambientOf, type EngineFlags } from "./engine-flags.js";

export interface ListMountsFlags extends EngineFlags {
  readonly quiet?: boolean;
  readonly format?: string;
  /** Whether the sum is told. */
  readonly total?: boolean;
}

export interface RemoveMountsFlags extends EngineFlags {
  readonly all?: boolean;
}

export interface ExportMountFlags extends EngineFlags {
  readonly output?: string;
}

export interface ImportMountFlags extends EngineFlags {
  readonly input?: string;
}

/** `ashlar cache mounts ls` and `du`. */
export async function listMountsCommand(flags: ListMountsFlags, surroundings: Surroundings): Promise<number> {
  const { stdout, clock } = surroundings;
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const mounts = await engine.cacheMounts.list();
  if (flags.quiet) stdout.write(mounts.map(({ id }) => `${id}\n`).join(""));
  else
    stdout.write(
      listed(
        mounts.map((mount) => row(mount, flags.format === "json", clock.now())),
        flags.format,
        LISTING,
      ),
    );
  if (flags.total)
    stdout.write(`Total:\t\t${formatBytes(mounts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))}\n`);
  return 0;
}

const LISTING: Listing = {
  headings: { ID: "ID", Size: "SIZE", LastUsedAt: "LAST USED", InUse: "IN USE", Directories: "DIRECTORIES" },
  columns: ["ID", "Size", "LastUsedAt", "InUse"],
};

function row({ id, sizeBytes, lastUsedAt, inUse, directories }: CacheMountInfo, forMachines: boolean, now: number) {
  return {
    ID: id,
    Size: forMachines ? String(sizeBytes) : formatBytes(sizeBytes),
    LastUsedAt: forMachines ? new Date(lastUsedAt).toISOString() : formatAge(lastUsedAt, now),
    InUse: inUse,
    Directories: directories,
  };
}

/** `ashlar cache mounts rm ID...` */
export async function removeMountsCommand(
  flags: RemoveMountsFlags,
  ids: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  if (flags.all !== true && ids.length === 0) throw new UsageError("name cache mounts to remove, or give --all");
  if (flags.all === true && ids.length > 0) throw new UsageError("--all names every cache mount already");
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const named = flags.all ? (await engine.cacheMounts.list()).map(({ id }) => id) : [...new Set(ids)];
  const { freedBytes } = await engine.cacheMounts.remove(named);
  surroundings.stdout.write(
    `${named.map((id) => `${id}\n`).join("")}Total reclaimed space: ${formatBytes(freedBytes)}\n`,
  );
  return 0;
}

/** `ashlar cache mounts export ID`. */
export async function exportMountCommand(
  flags: ExportMountFlags,
  id: string,
  surroundings: Surroundings,
): Promise<number> {
  const destination = archiveDestination(flags.output, surroundings, "refusing to write an archive to a terminal");
  return untilStopped(surroundings, async (signal) => {
    await using engine = await surroundings.openEngine({ ...parseEngine(flags, ambientOf(surroundings)), signal });
    const exported = () => engine.cacheMounts.export({ id, dest: destination.dest, signal });
    return (await destination.isCutOff(exported)) ? BROKEN_PIPE_CODE : 0;
  });
}

/** `ashlar cache mounts import ID`. */
export async function importMountCommand(
  flags: ImportMountFlags,
  id: string,
  surroundings: Surroundings,
): Promise<number> {
  const { stdin, cwd } = surroundings;
  const fromStdin = flags.input === undefined || flags.input === "-";
  if (fromStdin && stdin.isTTY) throw new UsageError("there is no archive on standard input: use -i or redirect");
  const from = flags.input === undefined || fromStdin ? stdin : path.resolve(cwd, flags.input);
  return untilStopped(surroundings, async (signal) => {
    await using engine = await surroundings.openEngine({ ...parseEngine(flags, ambientOf(surroundings)), signal });
    await engine.cacheMounts.import({ id, from, signal });
    return 0;
  });
}
