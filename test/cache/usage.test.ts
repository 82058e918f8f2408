import { expect, test } from "vitest";
import { boundBytes, defaultPolicies, parseUsageFilter, targetBytes, type UsageEntry } from "../../src/cache/index.js";

const entry: UsageEntry = {
  id: "3f2a",
  type: "exec.cachemount",
  description: "cache mount npm, the second",
  sizeBytes: 1,
  createdAt: 0,
  lastUsedAt: 0,
  inUse: false,
  shared: false,
  mutable: true,
  parents: ["p1", "p2"],
};

test.each([
  ["type==exec.cachemount", true],
  ["type=exec.cachemount", true],
  ["type!=exec.cachemount", false],
  ["id~=^3f", true],
  ["id~=^f", false],
  ["mutable", true],
  ["immutable", false],
  ["inuse", false],
  ["private", true],
  ["shared=", false],
  ["parents=p1", true],
  ["parents=p2;p1", true],
  ["parents=p3", false],
  ["type==exec.cachemount,immutable", false],
  ['description=="cache mount npm, the second", mutable', true],
  ["description~=npm", true],
])("the filter %s holds or not: %s", (text, holds) => {
  expect(parseUsageFilter(text)(entry)).toBe(holds);
});

test.each(["size==3", "id~=(", '"x"==y', "type==a,,", "type!=foo"])("the filter %j is refused", (text) => {
  expect(() => parseUsageFilter(text)).toThrow(/filter/);
});

const policy = { all: false, filters: [], keepDurationMs: 0 };
const disk = { totalBytes: 1000, freeBytes: 100 };

test.each([
  ["nothing is bounded", {}, undefined],
  ["a bound is a bound", { maxUsedBytes: 300 }, 300],
  ["what is reserved is a bound where there is no other", { reservedBytes: 200 }, 200],
  ["what is reserved stays whatever the bound", { reservedBytes: 400, maxUsedBytes: 300 }, 400],
  ["room that is missing is made", { minFreeBytes: 150 }, 450],
  ["nothing goes where there is room enough", { minFreeBytes: 50 }, 500],
  ["the stricter counts", { minFreeBytes: 150, maxUsedBytes: 480 }, 450],
  ["room is not made of what is reserved", { minFreeBytes: 1000, reservedBytes: 100 }, 100],
])("how far a policy goes: %s", (_, bounds, target) => {
  expect(targetBytes({ ...policy, ...bounds }, 500, disk)).toBe(target);
});

test("shares are of the whole disk, and the usual policies end with the bounds", () => {
  expect(boundBytes({ percent: 10 }, disk)).toBe(100);
  expect(defaultPolicies(disk).at(-1)).toMatchObject({ reservedBytes: 100, maxUsedBytes: 600, minFreeBytes: 100 });
  const huge = { totalBytes: 10e12, freeBytes: 5e12 };
  expect(defaultPolicies(huge).at(-1)).toMatchObject({ reservedBytes: 10e9, maxUsedBytes: 100e9, minFreeBytes: 10e9 });
  const small = defaultPolicies(huge, { maxUsed: { bytes: 5 } }).at(-1);
  expect(small).toMatchObject({ reservedBytes: 5, maxUsedBytes: 5 });
});
