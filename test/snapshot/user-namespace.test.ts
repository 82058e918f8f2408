import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeOwnership, mapOf, parseSubordinateIds } from "../../src/snapshot/index.js";

const BUILDER = { name: "builder", id: 1000, own: 1000 };

describe("the ids that a user is granted", () => {
  it("are those of their name and of their number", () => {
    const text = "root:1:5\nbuilder:100000:65536\n1000:300000:10\nbuilders:7:7\n10001:9:9\n";
    expect(parseSubordinateIds(text, BUILDER)).toEqual([
      { start: 100_000, count: 65_536 },
      { start: 300_000, count: 10 },
    ]);
  });
  it("leave out what no map can hold", () => {
    const text = [
      "builder:900:200", // the user's own id is in it
      "builder:2000:10",
      "builder:2005:10", // overlaps
      "builder:5:0",
      "builder:4294967290:10",
      "builder:x:10",
      "builder:-5:10",
      "builder:10",
      "# builder:50:1",
    ].join("\n");
    expect(parseSubordinateIds(text, BUILDER)).toEqual([{ start: 2000, count: 10 }]);
  });
  it("are at most as many ranges as the kernel takes", () => {
    const text = Array.from({ length: 1000 }, (_, i) => `builder:${100_000 + i * 10}:5`).join("\n");
    expect(parseSubordinateIds(text, BUILDER)).toHaveLength(339);
  });
  it("come out of any text without an error, and never overlap", () => {
    const number = fc.integer({ min: 0, max: 5000 });
    const line = fc.oneof(
      fc.tuple(fc.constantFrom("builder", "1000", "other"), number, number).map((parts) => parts.join(":")),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const taken = new Set([BUILDER.own]);
        for (const { start, count } of parseSubordinateIds(lines.join("\n"), BUILDER)) {
          for (let id = start; id < start + count; id++) {
            expect(taken.has(id)).toBe(false);
            taken.add(id);
          }
        }
      }),
    );
  });
});

describe("a namespace's map", () => {
  it("makes the user root, and lets the ranges follow", () => {
    const ranges = [
      { start: 100_000, count: 65_536 },
      { start: 300_000, count: 10 },
    ];
    expect(mapOf(1000, ranges)).toEqual([
      { inside: 0, outside: 1000, count: 1 },
      { inside: 1, outside: 100_000, count: 65_536 },
      { inside: 65_537, outside: 300_000, count: 10 },
    ]);
  });
  it("is told from others in words that are kept beside the layers", () => {
    const programs = { newuidmap: "/a", newgidmap: "/b" };
    const user = { uid: 1000, gid: 100 };
    const range = [{ start: 100_000, count: 65_536 }];
    expect(describeOwnership({ kind: "subordinate", user, uids: range, gids: range, programs })).toBe(
      "uids 0:1000:1 1:100000:65536\ngids 0:100:1 1:100000:65536\n",
    );
    expect(describeOwnership({ kind: "single", user })).toBe("single\n");
  });
});
