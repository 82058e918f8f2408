import type { UsageEntry } from "../engine/index.js";
import { formatBytes } from "../progress/index.js";
import { type Listing, listed } from "./listing.js";
import { formatAge } from "./table.js";

/** ENTRIES as `du` lists them: a table, `pretty` (a block each), `json` (an object each line), or a Go template. NOW: milliseconds. */
export function usageText(entries: readonly UsageEntry[], format: string | undefined, now: number): string {
  if (format === "pretty") return entries.map((entry) => `${block(entry, now)}\n`).join("");
  if (format === "json") return listed(entries.map(machineRow), format, LISTING);
  const isTable = format === undefined || format === "" || format.startsWith("table");
  return listed(
    entries.map((entry) => row(entry, { now, isTable })),
    format,
    LISTING,
  );
}

/** What ENTRIES come to. */
export function usageSummary(entries: readonly UsageEntry[]): string {
  const sum = (some: readonly UsageEntry[]) => some.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  const total = sum(entries);
  const shared = sum(entries.filter((entry) => entry.shared));
  const lines = [
    ...(shared > 0 ? [["Shared", shared] as const, ["Private", total - shared] as const] : []),
    ["Reclaimable", sum(entries.filter((entry) => !entry.inUse && !entry.shared))] as const,
    ["Total", total] as const,
  ];
  // Two stops of eight, as buildx aligns them.
  return lines.map(([name, bytes]) => `${name}:${name.length < 7 ? "\t\t" : "\t"}${formatBytes(bytes)}\n`).join("");
}

/** The columns of buildx. */
const LISTING: Listing = {
  headings: {
    ID: "ID",
    Parents: "PARENTS",
    CreatedAt: "CREATED AT",
    Mutable: "MUTABLE",
    Reclaimable: "RECLAIMABLE",
    Shared: "SHARED",
    Size: "SIZE",
    Description: "DESCRIPTION",
    LastUsedAt: "LAST ACCESSED",
    Type: "TYPE",
  },
  columns: ["ID", "Reclaimable", "Size", "LastUsedAt"],
};

function row(entry: UsageEntry, { now, isTable }: { readonly now: number; readonly isTable: boolean }) {
  const { id, parents, createdAt, mutable, inUse, shared, sizeBytes, description, lastUsedAt, type } = entry;
  return {
    ID: isTable && mutable ? `${id}*` : id,
    Parents: parents,
    CreatedAt: new Date(createdAt).toISOString(),
    Mutable: mutable,
    Reclaimable: !inUse,
    Shared: shared,
    Size: formatBytes(sizeBytes) + (isTable && shared ? "*" : ""),
    Description: description,
    LastUsedAt: formatAge(lastUsedAt, now),
    Type: type,
  };
}

/** Sizes in bytes and times as dates, as buildx has them. */
function machineRow(entry: UsageEntry) {
  return {
    ...row(entry, { now: 0, isTable: false }),
    Size: String(entry.sizeBytes),
    LastUsedAt: new Date(entry.lastUsedAt).toISOString(),
  };
}

function block(entry: UsageEntry, now: number): string {
  const cells = row(entry, { now, isTable: false });
  const lines = [
    ["ID", cells.ID],
    ...(entry.parents.length > 0 ? [["Parents", `\n - ${entry.parents.join("\n - ")}`]] : []),
    ["Created at", cells.CreatedAt],
    ["Mutable", String(cells.Mutable)],
    ["Reclaimable", String(cells.Reclaimable)],
    ["Shared", String(cells.Shared)],
    ["Size", cells.Size],
    ...(entry.description ? [["Description", cells.Description]] : []),
    ["Last used", cells.LastUsedAt],
    ["Type", cells.Type],
  ];
  return lines.map(([name, value = ""]) => `${`${`${name}:`.padEnd(14)}${value}`.replace(/: +\n/, ":\n")}\n`).join("");
}
