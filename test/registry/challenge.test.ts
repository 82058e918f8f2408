import fc from "fast-check";
import { expect, it } from "vitest";
import { parseChallenges } from "../../src/registry/challenge.js";

const bearer = { scheme: "bearer", service: undefined, scope: undefined, error: undefined };

it.each([
  ["Basic", [{ scheme: "basic" }]],
  ['Basic realm="a, Bearer b", Bearer realm="r"', [{ scheme: "basic" }, { ...bearer, realm: "r" }]],
  [
    'bearer Realm="r",service=s , scope="a:b:c d",error="e\\"x"',
    [{ scheme: "bearer", realm: "r", service: "s", scope: "a:b:c d", error: 'e"x' }],
  ],
  ["Bearer", []],
  ['Negotiate, Digest realm="x"', []],
  ["", []],
])("the challenges of %j are found", (header, expected) => {
  expect(parseChallenges(header)).toEqual(expected);
});

it("any header is read without an error", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'Bearer Basic realm="\\, é\n') }),
      (header) => void parseChallenges(header),
    ),
  );
});
