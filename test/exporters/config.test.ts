import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { finishConfig, timeText } from "../../src/exporters/finish-config.js";
import type { HistoryEntry, ImageConfig } from "../../src/oci/index.js";

const config = (history: readonly HistoryEntry[], changes: Partial<ImageConfig> = {}): ImageConfig => ({
  architecture: "amd64",
  os: "linux",
  config: {},
  rootfs: { type: "layers", diff_ids: [] },
  history,
  ...changes,
});
const layer = (createdAt: number) => ({ diffId: digestOf(String(createdAt)), createdAt });
const day = (number: number) => Date.UTC(2024, 0, number);
const times = ({ history }: ImageConfig) => history.map(({ created }) => created?.slice(8, 10));
const DONE: HistoryEntry = { created_by: "RUN" };
const META: HistoryEntry = { created_by: "ENV", empty_layer: true };
const BASE: HistoryEntry = { created_by: "base", created: timeText(day(1)) };

describe("a finished config", () => {
  it("lists the layers' archives", () => {
    const layers = [layer(day(1)), layer(day(2))];
    expect(finishConfig(config([DONE, DONE]), layers, { baseLayers: 0 }).rootfs).toEqual({
      type: "layers",
      diff_ids: layers.map(({ diffId }) => diffId),
    });
  });

  it("dates layers by themselves, and other entries by the first new layer or what was before", () => {
    const layers = [layer(day(9)), layer(day(3)), layer(day(4))];
    const finished = finishConfig(config([BASE, META, META, DONE, META, DONE, META]), layers, { baseLayers: 1 });
    expect(times(finished)).toEqual(["01", "03", "03", "03", "03", "04", "04"]);
    expect(finished.created).toBe(timeText(day(4)));
  });

  it("dates entries by the base image where there is no new layer", () => {
    const finished = finishConfig(config([BASE, META]), [layer(day(5))], { baseLayers: 1 });
    expect(times(finished)).toEqual(["01", "01"]);
    expect(finished.created).toBe(timeText(day(1)));
  });

  it("has no time where nothing has one", () => {
    const finished = finishConfig(config([META]), [], { baseLayers: 0 });
    expect(finished.created).toBeUndefined();
    expect(finished.history).toEqual([META]);
  });

  it("names layers that the history forgot, and none that are not there", () => {
    const [one, two] = [layer(day(1)), layer(day(2))];
    expect(finishConfig(config([META, DONE]), [one, two], { baseLayers: 1 }).history.at(-1)).toEqual({
      created: timeText(day(2)),
      created_by: "created by ashlar",
      comment: "buildkit.exporter.image.v0",
    });
    const excess = finishConfig(config([DONE, DONE, META]), [one], { baseLayers: 0 });
    expect(excess.history.map(({ empty_layer }) => empty_layer === true)).toEqual([false, true, true]);
  });

  it("is not later than SOURCE_DATE_EPOCH, but for what the base image says", () => {
    const layers = [layer(day(1)), layer(day(8)), layer(day(9))];
    const late: HistoryEntry = { created_by: "base", created: timeText(day(7)) };
    const options = { baseLayers: 1, sourceDateEpoch: day(5) / 1000 };
    const finished = finishConfig(config([late, META, DONE, DONE]), layers, options);
    expect(times(finished)).toEqual(["07", "05", "05", "05"]);
    expect(finished.created).toBe(timeText(day(5)));
    expect(times(finishConfig(config([late, META, DONE, DONE]), layers, { ...options, baseLayers: 0 }))).toEqual(
      Array(4).fill("05"),
    );
    const undated = finishConfig(config([DONE, late, DONE]), layers, { ...options, baseLayers: 2 });
    expect(times(undated)).toEqual(["01", "05", "05"]);
    const given = config([DONE], { created: timeText(day(6)) });
    expect(finishConfig(given, [layer(day(2))], options).created).toBe(timeText(day(5)));
    expect(finishConfig(config([META]), [], options).created).toBe(timeText(day(5)));
  });

  it("is for a platform", () => {
    expect(() => finishConfig(config([], { os: "" }), [], { baseLayers: 0 })).toThrow(
      "invalid image config for export: missing os",
    );
  });

  it("always has an entry per layer, and a time for all where one has one", () => {
    const entry = fc.record<HistoryEntry>(
      {
        created: fc.integer({ min: 1, max: 28 }).map((number) => timeText(day(number))),
        created_by: fc.string(),
        empty_layer: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    const facts = fc.integer({ min: 1, max: 28 }).map((number) => layer(day(number)));
    const epoch = fc.option(
      fc.integer({ min: 1, max: 28 }).map((number) => day(number) / 1000),
      { nil: undefined },
    );
    fc.assert(
      fc.property(
        fc.array(entry),
        fc.array(facts),
        epoch,
        fc.nat(3),
        (history, layers, sourceDateEpoch, baseLayers) => {
          const finished = finishConfig(config(history), layers, { baseLayers, sourceDateEpoch });
          expect(finished.history.filter((each) => !each.empty_layer)).toHaveLength(layers.length);
          const dated = finished.history.filter(({ created }) => created !== undefined);
          expect([0, finished.history.length]).toContain(dated.length);
          if (sourceDateEpoch === undefined || baseLayers > 0) return;
          expect(dated.every(({ created }) => Date.parse(created ?? "") <= sourceDateEpoch * 1000)).toBe(true);
        },
      ),
    );
  });
});

describe("a time", () => {
  it("is written as Go writes it", () => {
    const texts = [0, 120, 123, 60_000, 36_000_000].map(timeText);
    expect(texts.map((text) => text.slice(11))).toEqual([
      "00:00:00Z",
      "00:00:00.12Z",
      "00:00:00.123Z",
      "00:01:00Z",
      "10:00:00Z",
    ]);
  });
});
