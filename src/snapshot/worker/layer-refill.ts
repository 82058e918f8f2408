import fs from "node:fs";
import type { LayerId } from "../tree.js";
import { fromText, join, toBuffer } from "./bytes.js";
import type { Job } from "./context.js";
import { namesIn } from "./layer-stat.js";
import { removeTree } from "./remove.js";

/** Gives the directory of the layer TO everything that FROM's holds, in place of what it holds itself. TO's own metadata stays. */
export const refillLayer: Job<{ readonly from: LayerId; readonly to: LayerId }, void> = ({ from, to }, context) => {
  const [source, target] = [fromText(`${from}/fs`), fromText(`${to}/fs`)];
  for (const name of namesIn(target)) removeTree(join(target, name), () => context.checkCanceled());
  for (const name of namesIn(source)) fs.renameSync(toBuffer(join(source, name)), toBuffer(join(target, name)));
};
