import fs from "node:fs";
import path from "node:path";
import { systemCode } from "../base/index.js";
import { stampOf } from "./layer-stamp.js";
import type { StateDirs } from "./state-dirs.js";
import type { LayerId } from "./tree.js";

/** A finished layer whose files may have been lost behind the engine's back, and what its root looked like (`LayerSummary.stamp`). */
export interface FinishedLayer {
  readonly id: LayerId;
  readonly stamp: string | null;
}

/** No layer has this stamp: one that is told to have it counts as lost. */
export const DAMAGED_STAMP = "damaged";

/**
 * Whether a layer's directory is there and, as far as one look at its root can tell, as it was when it was finished. What can't be looked at is
 * taken to be.
 */
export function isAsItWas({ layers }: Pick<StateDirs, "layers">, { id, stamp }: FinishedLayer): boolean {
  try {
    const root = path.join(layers, String(id), "fs");
    const found = fs.statSync(root, { bigint: true, throwIfNoEntry: false });
    if (!found?.isDirectory()) return false;
    return stamp === null || stamp === stampOf(found.mtimeNs, fs.readdirSync(root).length);
  } catch (error) {
    return !["ENOTDIR", "ENOENT"].includes(systemCode(error) ?? "");
  }
}

/** Whether there is anything in the place of a layer. */
export function hasPlace({ layers }: Pick<StateDirs, "layers">, id: LayerId): boolean {
  return fs.lstatSync(path.join(layers, String(id)), { throwIfNoEntry: false }) !== undefined;
}

/** The highest number that anything in the layers' directory has; 0 where there is none. */
export function highestPlace({ layers }: Pick<StateDirs, "layers">): LayerId {
  return fs.readdirSync(layers).reduce((highest, name) => Math.max(highest, NUMBER.test(name) ? Number(name) : 0), 0);
}

/** A layer's number that is exact. */
const NUMBER = /^\d{1,15}$/;

/** Gives what is in the place of one layer to another, which has nothing in its own. */
export function movePlace({ layers }: Pick<StateDirs, "layers">, from: LayerId, to: LayerId): void {
  fs.renameSync(path.join(layers, String(from)), path.join(layers, String(to)));
}
