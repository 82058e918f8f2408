import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { describeIssue } from "../../src/base/index.js";

const text = v.object({ a: v.string() });
const count = v.object({ n: v.pipe(v.number(), v.integer(), v.minValue(0)) });

describe("what is wrong with a document", () => {
  const told = (schema: v.GenericSchema, document: unknown) => {
    const result = v.safeParse(schema, document, { abortEarly: true });
    return result.success ? undefined : describeIssue(result.issues[0]);
  };

  it.each<readonly [string, v.GenericSchema, unknown, string]>([
    ["of another kind", text, null, "expected an object, found null"],
    ["an array", text, [], "expected an object, found an array"],
    ["a member of another kind", text, { a: {} }, "a: expected a string, found an object"],
    ["another member", v.object({ list: v.array(text) }), { list: [{ a: 1 }] }, "list.0.a: expected a string, found 1"],
    ["an array for an object below", v.object({ b: text }), { b: [] }, "b: expected an object, found an array"],
    ["an object for an array", v.object({ b: v.array(text) }), { b: {} }, "b: expected an array, found an object"],
    ["without a member", v.strictObject({ a: v.string() }), {}, "a: it is missing"],
    ["with one too many", v.strictObject({}), { z: 1 }, "z: there is no such key"],
    ["too small", count, { n: -1 }, "n: expected >=0, found -1"],
    ["not whole", count, { n: 1.5 }, "n: expected a whole number, found 1.5"],
    ["too long", v.pipe(v.string(), v.maxLength(2)), "long", "expected a length <=2, found 4"],
    ["none of a few", v.picklist(["x", "y"]), "z", 'expected "x" or "y", found "z"'],
    ["told by the schema", v.custom(() => false, "expected a digest"), 7, "expected a digest"],
  ])("is told where it is %s", (_, schema, document, sentence) => {
    expect(told(schema, document)).toBe(sentence);
  });

  it("is told of that of several forms which it comes nearest to", () => {
    const either = v.object({ key: v.union([v.strictObject({ v: v.literal(1), list: v.array(text) }), text]) });
    expect(told(either, { key: { v: 1, list: [{ a: null }] } })).toBe("key.list.0.a: expected a string, found null");
    expect(told(either, { key: {} })).toBe("key.v: it is missing, or key.a: it is missing");
    expect(told(either, { key: 1 })).toBe("key: expected an object, found 1");
    expect(told(v.union([v.string(), v.array(v.string())]), 1)).toBe(
      "expected a string, found 1, or expected an array, found 1",
    );
  });

  it("quotes nothing long, nor what a terminal obeys", () => {
    expect(told(v.number(), "x".repeat(1000))).toBe(`expected a number, found "${"x".repeat(60)}…"`);
    expect(told(v.number(), "\u001b[31m\u009b")).toBe('expected a number, found "\\u001b[31m\ufffd"');
    expect(told(v.record(v.string(), v.number()), { "a\nb": "" })).toBe('"a\\nb": expected a number, found ""');
  });
});
