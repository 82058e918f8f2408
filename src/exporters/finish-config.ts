import { type Digest, EngineError } from "../base/index.js";
import type { HistoryEntry, ImageConfig } from "../oci/index.js";

/** What a config says of a layer. */
export interface LayerFacts {
  readonly diffId: Digest;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface FinishOptions {
  readonly baseLayers: number;
  /** Seconds; times after it become it, but those of the base image stay. */
  readonly sourceDateEpoch?: number | undefined;
}

/** The config of the image that LAYERS make, bottom first: with their digests, a history that names each of them, and times. */
export function finishConfig(config: ImageConfig, layers: readonly LayerFacts[], options: FinishOptions): ImageConfig {
  for (const member of ["os", "architecture"] as const)
    if (!config[member]) throw new EngineError("invalid", `invalid image config for export: missing ${member}`);
  const epoch = options.sourceDateEpoch;
  const inherited = inheritedEntries(config.history, options.baseLayers);
  const dated = withTimes(withEveryLayer(config.history, layers), layers);
  const clamped =
    epoch === undefined ? dated : dated.map((entry, i) => (i < inherited ? entry : notAfter(entry, epoch)));
  const created =
    config.created === undefined ? clamped.findLast(hasTime)?.created : clampedTime(config.created, epoch);
  return {
    ...config,
    ...(created === undefined ? {} : { created }),
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: clamped,
  };
}

/** Marks entries that the exporter adds, as BuildKit does, so that tools know them. */
const COMMENT = "buildkit.exporter.image.v0";
const CREATED_BY = "created by ashlar";

/** HISTORY with exactly as many entries for layers as there are layers. */
function withEveryLayer(history: readonly HistoryEntry[], layers: readonly LayerFacts[]): readonly HistoryEntry[] {
  let named = 0;
  const fitting = history.map((entry): HistoryEntry => {
    if (entry.empty_layer) return entry;
    if (named >= layers.length) return { ...entry, empty_layer: true };
    named++;
    return entry;
  });
  const missing = layers.slice(named).map(
    ({ createdAt }): HistoryEntry => ({
      created: timeText(createdAt),
      created_by: CREATED_BY,
      comment: COMMENT,
    }),
  );
  return [...fitting, ...missing];
}

/** Entries of layers get their layer's time; others that of the first new layer, or else of what is before them. */
function withTimes(history: readonly HistoryEntry[], layers: readonly LayerFacts[]): readonly HistoryEntry[] {
  let layer = 0;
  const known = history.map((entry): HistoryEntry => {
    if (entry.empty_layer) return entry;
    const facts = layers[layer++];
    return hasTime(entry) || facts === undefined ? entry : { ...entry, created: timeText(facts.createdAt) };
  });
  const firstWithout = known.findIndex((entry) => !hasTime(entry));
  if (firstWithout < 0) return known;
  let time = (known.slice(firstWithout).find(hasTime) ?? known.findLast(hasTime))?.created;
  return known.map((entry, i) => {
    if (hasTime(entry)) {
      if (i > firstWithout) time = entry.created;
      return entry;
    }
    return time === undefined ? entry : { ...entry, created: time };
  });
}

/** How many entries at the start are the base image's and have a time that it fixed. */
function inheritedEntries(history: readonly HistoryEntry[], baseLayers: number): number {
  if (baseLayers === 0) return 0;
  let layers = 0;
  const end = history.findIndex((entry) => !hasTime(entry) || (!entry.empty_layer && ++layers > baseLayers));
  return end < 0 ? history.length : end;
}

function notAfter(entry: HistoryEntry, epoch: number): HistoryEntry {
  return {
    ...entry,
    created: entry.created === undefined ? timeText(epoch * 1000) : clampedTime(entry.created, epoch),
  };
}

function clampedTime(created: string, epoch: number | undefined): string {
  return epoch !== undefined && Date.parse(created) > epoch * 1000 ? timeText(epoch * 1000) : created;
}

/** A time in milliseconds as Go's RFC 3339 with nanoseconds: without the fraction's zeros. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.?0*Z$/, "Z");
}

function hasTime(entry: HistoryEntry): entry is HistoryEntry & { readonly created: string } {
  return entry.created !== undefined;
}
