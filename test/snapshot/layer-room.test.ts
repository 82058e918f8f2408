import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { stateDirs } from "../../src/snapshot/state-dirs.js";
import { type LayerRoom, measureRoom, type RoomArgs } from "../../src/snapshot/worker/layer-room.js";

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-room-"));
  return () => fs.rmSync(root, { recursive: true });
});

/** A layer of so many files of 8 KiB, each in a directory of its own. */
function layer(id: number, files: number): void {
  const directory = path.join(root, "layers", String(id), "fs");
  for (let i = 0; i < files; i++) {
    fs.mkdirSync(path.join(directory, `d${i}`), { recursive: true });
    fs.writeFileSync(path.join(directory, `d${i}/f`), Buffer.alloc(8192, 1));
  }
}

const measured = (args: RoomArgs, checkCanceled = () => {}): readonly LayerRoom[] =>
  measureRoom(args, {
    dirs: stateDirs(root),
    snapshotter: "overlay",
    checkCanceled,
    report() {},
  }) as readonly LayerRoom[];

describe("the room of layers that may change", () => {
  it("is what their files take, those with several names once; of one that is gone it is nothing", () => {
    layer(1, 3);
    fs.linkSync(path.join(root, "layers/1/fs/d0/f"), path.join(root, "layers/1/fs/again"));
    const [first, second] = measured({ layers: [1, 2] });
    expect(first?.isWhole).toBe(true);
    expect(first?.sizeBytes).toBeGreaterThanOrEqual(3 * 8192);
    expect(first?.sizeBytes).toBeLessThan(3 * 8192 + 8192 + 3 * 4096);
    expect(second).toEqual({ sizeBytes: 0, isWhole: true });
  });

  it("is looked at no further than is allowed, and what one layer doesn't need another gets", () => {
    layer(1, 1);
    layer(2, 30);
    layer(3, 100);
    const rooms = measured({ layers: [1, 2, 3], entriesMax: 120 });
    expect(rooms.map(({ isWhole }) => isWhole)).toEqual([true, false, false]);
    expect(measured({ layers: [1, 2, 3], entriesMax: 400 }).map(({ isWhole }) => isWhole)).toEqual([true, true, true]);
  });

  it("is reckoned without what vanishes meanwhile", () => {
    layer(1, 5);
    let looks = 0;
    const [room] = measured({ layers: [1] }, () => {
      if (++looks === 3) fs.rmSync(path.join(root, "layers/1/fs/d4"), { recursive: true });
    });
    expect(room?.isWhole).toBe(true);
    expect(room?.sizeBytes).toBeGreaterThanOrEqual(4 * 8192);
  });
});
