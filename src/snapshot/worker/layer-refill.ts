import fs from "node:fs";
import type { LayerId } from "../tree.js";
import { fromText, join, toBuffer } from "./bytes.js";
import type { Job } from "./context.js";
import { namesIn } from "./layer-stat.js";
import { removeTree } from "./remove.js";
import { selectedDirectory } from "./selected.js";

/** A layer's files, and the directory of another that gets them. */
export interface RefillArgs {
  readonly from: LayerId;
  readonly to: LayerId;
  /** Which directory of TO: as a mount selects one. Absent: its root. */
  readonly selector?: string | undefined;
}

/**
 * Gives a directory of the layer TO everything that FROM's holds, in place of what it holds itself. Its own metadata stays. False, with
 * nothing done, where there is no such directory.
 */
export const refillLayer: Job<RefillArgs, boolean> = ({ from, to, selector = "" }, context) => {
  const source = fromText(`${from}/fs`);
  const target = selectedDirectory(to, selector);
  if (target === undefined) return false;
  for (const name of namesIn(target)) removeTree(join(target, name), () => context.checkCanceled());
  for (const name of namesIn(source)) fs.renameSync(toBuffer(join(source, name)), toBuffer(join(target, name)));
  return true;
};
