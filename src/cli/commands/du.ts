import type { UsageEntry } from "../../engine/index.js";
import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import type { Surroundings } from "../surroundings.js";
import { formatAge, formatTable } from "../table.js";
import { ambientOf } from "./engine-flags.js";

export interface DuFlags {
  readonly root?: string;
  readonly verbose?: boolean;
}

/** `ashlar du`: what takes space, and how much of it could go. */
export async function duCommand(flags: DuFlags, surroundings: Surroundings): Promise<number> {
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const entries = await engine.diskUsage();
  const now = surroundings.clock.now();
  const listing = flags.verbose ? entries.map((entry) => entryText(entry, now)).join("") : tableOf(entries, now);
  const sum = (some: readonly UsageEntry[]) => formatBytes(some.reduce((total, { sizeBytes }) => total + sizeBytes, 0));
  const reclaimable = sum(entries.filter(({ inUse }) => !inUse));
  surroundings.stdout.write(`${listing}Reclaimable:\t${reclaimable}\nTotal:\t\t${sum(entries)}\n`);
  return 0;
}

function tableOf(entries: readonly UsageEntry[], now: number): string {
  const rows = entries.map(({ id, type, inUse, sizeBytes, lastUsedAt }) => [
    id,
    type,
    String(!inUse),
    formatBytes(sizeBytes),
    formatAge(lastUsedAt, now),
  ]);
  return formatTable(["ID", "TYPE", "RECLAIMABLE", "SIZE", "LAST ACCESSED"], rows);
}

function entryText(
  { id, type, description, sizeBytes, createdAt, lastUsedAt, inUse }: UsageEntry,
  now: number,
): string {
  const lines = [
    ["ID", id],
    ["Type", type],
    ["Created at", new Date(createdAt).toISOString()],
    ["Last used", formatAge(lastUsedAt, now)],
    ["Reclaimable", String(!inUse)],
    ["Size", formatBytes(sizeBytes)],
    ["Description", description],
  ];
  return `${lines.map(([key, value]) => `${`${key}:`.padEnd(14)}${value}\n`).join("")}\n`;
}
