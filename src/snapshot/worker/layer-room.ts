import fs from "node:fs";
import path from "node:path";
import { unlessGone } from "../../base/index.js";
import type { LayerId } from "../tree.js";
import { type BytePath, fromText, join, toBuffer } from "./bytes.js";
import type { Job, JobContext } from "./context.js";

/** Layers that may change while they are looked at. */
export interface RoomArgs {
  readonly layers: readonly LayerId[];
  /** So many files and directories are looked at, of all layers together. Absent: all. */
  readonly entriesMax?: number | undefined;
}

/** What a layer takes at the moment. */
export interface LayerRoom {
  /** On disk, each file once whatever its names; where not all of it was looked at, of what was. */
  readonly sizeBytes: number;
  readonly isWhole: boolean;
}

/** The room that each layer takes, be it finished or not. What comes or goes meanwhile may be counted or not. */
export const measureRoom: Job<RoomArgs, readonly LayerRoom[]> = ({ layers, entriesMax = Infinity }, context) => {
  let left = entriesMax;
  return layers.map((layer, i) => {
    // What one doesn't need is the others'.
    const walk = new RoomWalk(Math.ceil(left / (layers.length - i)), context);
    const isWhole = walk.visit(fromText(path.join(context.dirs.layers, String(layer), "fs")));
    left -= walk.entries;
    return { sizeBytes: walk.sizeBytes, isWhole };
  });
};

const STAT_BLOCK_BYTES = 512;

class RoomWalk {
  sizeBytes = 0;
  entries = 0;
  readonly #entriesMax: number;
  readonly #context: JobContext;
  readonly #counted = new Set<number>();

  constructor(entriesMax: number, context: JobContext) {
    this.#entriesMax = entriesMax;
    this.#context = context;
  }

  /** Counts what is below DIRECTORY, those nearest to it first: one that is deep or full is not all that is seen. Whether that is all. */
  visit(directory: BytePath): boolean {
    const directories = [directory];
    for (const at of directories) {
      this.#context.checkCanceled();
      for (const name of unlessGone(() => fs.readdirSync(toBuffer(at), { encoding: "latin1" })) ?? []) {
        if (this.entries >= this.#entriesMax) return false;
        this.entries++;
        const file = join(at, name);
        const stat = unlessGone(() => fs.lstatSync(toBuffer(file), { throwIfNoEntry: false }));
        if (stat?.isDirectory()) directories.push(file);
        else if (stat && stat.nlink > 1) {
          if (this.#counted.has(stat.ino)) continue;
          this.#counted.add(stat.ino);
        }
        this.sizeBytes += (stat?.blocks ?? 0) * STAT_BLOCK_BYTES;
      }
    }
    return true;
  }
}
