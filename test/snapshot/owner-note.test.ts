import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatNote, ownerOfTime, parseNote, saysNothing, timeOfOwner } from "../../src/snapshot/index.js";

const id = fc.integer({ min: 0, max: 2 ** 32 - 2 });

describe("the note of a file's owner", () => {
  it("is read as it was written", () => {
    const device = fc.record({
      kind: fc.constantFrom("char" as const, "block" as const),
      rdev: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    });
    const note = fc.oneof(fc.record({ uid: id, gid: id }), fc.record({ uid: id, gid: id, device }));
    fc.assert(
      fc.property(note, (each) => {
        expect(parseNote(formatNote(each))).toEqual(each);
      }),
    );
  });
  it("is not found in what nobody of ours has written", () => {
    for (const text of ["", "0", "1:", "-1:2", "1:2:x3", "1:2:c", "1:2 ", "99999999999:1"]) {
      expect(parseNote(Buffer.from(text))).toBeUndefined();
    }
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseNote(bytes)));
  });
  it("is in a link's time of access, which no present time can be mistaken for", () => {
    const [uid, gid] = [fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 999_999_999 })];
    fc.assert(
      fc.property(uid, gid, (user, group) => {
        const time = timeOfOwner({ uid: user, gid: group });
        expect(time !== undefined && ownerOfTime(time)).toEqual({ uid: user, gid: group });
      }),
    );
    expect(ownerOfTime(BigInt(Date.UTC(2200, 0)) * 1_000_000n)).toBeUndefined();
    expect(ownerOfTime(-1n)).toBeUndefined();
    expect(timeOfOwner({ uid: 2 ** 31, gid: 0 })).toBeUndefined();
    expect(timeOfOwner({ uid: 0, gid: 1_000_000_000 })).toBeUndefined();
  });
  it("says nothing of an ordinary file of root", () => {
    expect(saysNothing({ uid: 0, gid: 0 })).toBe(true);
    expect(saysNothing({ uid: 0, gid: 1 })).toBe(false);
    expect(saysNothing({ uid: 0, gid: 0, device: { kind: "char", rdev: 259 } })).toBe(false);
  });
});
