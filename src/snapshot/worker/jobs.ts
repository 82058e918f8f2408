import fs from "node:fs";
import path from "node:path";
import { EngineError } from "../../base/index.js";
import type { LayerId } from "../tree.js";
import { bindSelected, removeSecret, writeSecret } from "./bind.js";
import { fromText } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { type MountRequest, mountTree, unmountTree } from "./mounting.js";
import { removeTree } from "./remove.js";

/** Makes the directories of a new layer. */
const createLayer: Job<{ readonly layer: LayerId }, void> = ({ layer }, { dirs }) => {
  const directory = path.join(dirs.layers, String(layer));
  fs.mkdirSync(directory, { mode: 0o700 });
  fs.mkdirSync(path.join(directory, "fs"), { mode: 0o755 });
  fs.mkdirSync(path.join(directory, "work"), { mode: 0o700 });
};

/** Removes layers, committed or not; ones that are gone already are fine. */
const removeLayers: Job<{ readonly layers: readonly LayerId[] }, void> = ({ layers }, context) => {
  for (const layer of layers) {
    if (!Number.isSafeInteger(layer)) throw new EngineError("internal", `no layer number: ${layer}`);
    removeTree(fromText(path.join(context.dirs.layers, String(layer))), () => context.checkCanceled());
  }
};

const mount: Job<MountRequest, string> = (request, context: JobContext) => mountTree(request, context);
const unmount: Job<{ readonly path: string }, void> = ({ path: target }) => unmountTree(target);

/** Every job a thread of the data plane can do, by name. */
export const jobs = {
  createLayer,
  removeLayers,
  mount,
  unmount,
  bindSelected,
  writeSecret,
  removeSecret,
};
