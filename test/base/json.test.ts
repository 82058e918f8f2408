import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../src/base/index.js";

/** Written member by member. */
function reference(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(reference).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${reference(member)}`).join(",")}}`;
}

describe("canonical JSON", () => {
  it("is one text whatever the order of members, for numbers and __proto__ as keys, too", () => {
    const key = fc.oneof(fc.constantFrom("10", "9", "__proto__", "", "0x", "-1", "a", "é", "toString"), fc.string());
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constantFrom(null, undefined, -0));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: "small" }, leaf, fc.array(tie("value"), { maxLength: 4 }), tie("object")),
      object: fc
        .uniqueArray(fc.tuple(key, tie("value")), { selector: ([name]) => name, maxLength: 6 })
        .map((members) => {
          const object = {};
          for (const [name, member] of members)
            Object.defineProperty(object, name, {
              value: member,
              enumerable: true,
              configurable: true,
              writable: true,
            });
          return object;
        }),
    }));
    fc.assert(
      fc.property(value, (each) => {
        expect(canonicalJson(each)).toBe(reference(each));
      }),
      { numRuns: 2000 },
    );
  });

  it("leaves undefined members out, and writes undefined items as null", () => {
    expect(canonicalJson({ b: undefined, a: [undefined, { z: undefined, 1: "x" }] })).toBe('{"a":[null,{"1":"x"}]}');
    expect(canonicalJson(undefined)).toBe("null");
  });
});
