import fs from "node:fs";
import path from "node:path";
import { EngineError, syncFileSystem, systemCode } from "../../base/index.js";
import type { LayerId, Tree } from "../tree.js";
import { bindSelected, giveFile, mountTemporary, removeSecret, writeSecret } from "./bind.js";
import { fromText } from "./bytes.js";
import { commitLayer } from "./commit.js";
import { contentDigest } from "./content-digest.js";
import type { Job, JobContext } from "./context.js";
import { convertBlob } from "./convert-blob.js";
import { applyFileAction } from "./file-apply.js";
import { makeMountpoints, removeMountpoints } from "./file-mountpoints.js";
import { findProgram } from "./file-programs.js";
import { resolveUser } from "./file-user.js";
import { tarTree } from "./layer-archive.js";
import { exportTree } from "./layer-checkout.js";
import { diffTrees } from "./layer-diff.js";
import { exportLayer } from "./layer-export.js";
import { type LayerSummary, measure } from "./layer-measure.js";
import { refillLayer } from "./layer-refill.js";
import { measureRoom } from "./layer-room.js";
import { statOf } from "./layer-stat.js";
import { layerDir, type MountRequest, mountTree, unmountTree } from "./mounting.js";
import {
  closeNetlinkSocket,
  closeNetwork,
  listenInNetwork,
  openNetlinkSocket,
  openNetwork,
  talkNetlink,
} from "./network.js";
import { chown } from "./ownership.js";
import { removeTree } from "./remove.js";
import { forgetScan, newestFile, readSourceFile, scanSummary, statSource } from "./scan-jobs.js";
import { settleLayers } from "./settle.js";
import { placeFile, settleCheckout } from "./source-files.js";
import { surveyTree } from "./survey.js";
import { unpackLayer } from "./unpack.js";

/** Makes the directories of a new layer. As with containerd, its root has the owner of the root below, but not the mode. */
const createLayer: Job<{ readonly layer: LayerId; readonly parents: Tree }, void> = ({ layer, parents }, context) => {
  const directory = path.join(context.dirs.layers, String(layer));
  const root = path.join(directory, "fs");
  fs.mkdirSync(directory, { mode: 0o700 });
  fs.mkdirSync(root, { mode: 0o755 });
  fs.mkdirSync(path.join(directory, "work"), { mode: 0o700 });
  const below = parents.at(-1);
  if (below === undefined) return;
  const owner = statOf(fromText(layerDir(context, below)));
  if (owner && (owner.uid !== 0 || owner.gid !== 0)) chown(root, owner.uid, owner.gid);
};

/** Removes layers, committed or not; ones that are gone already are fine. */
const removeLayers: Job<{ readonly layers: readonly LayerId[] }, void> = ({ layers }, context) => {
  for (const layer of layers) {
    if (!Number.isSafeInteger(layer)) throw new EngineError("internal", `no layer number: ${layer}`);
    removeTree(fromText(path.join(context.dirs.layers, String(layer))), () => context.checkCanceled());
  }
};

/** Gives a finished layer the place of another; false where somebody else has put one there already, which stays. */
const placeLayer: Job<{ readonly from: LayerId; readonly to: LayerId }, boolean> = ({ from, to }, { dirs }) => {
  const target = path.join(dirs.layers, String(to));
  try {
    fs.renameSync(path.join(dirs.layers, String(from)), target);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    removeTree(fromText(path.join(dirs.layers, String(from))));
    return false;
  }
};

/** What a finished layer holds. */
const measureLayer: Job<{ readonly layer: LayerId }, LayerSummary> = ({ layer }, context) =>
  measure(`${layer}/fs`, context);

/** Makes everything in the state directory's file system durable. */
const syncState: Job<object, void> = (_, { dirs }) => {
  const fd = fs.openSync(dirs.root, "r");
  try {
    syncFileSystem(fd);
  } finally {
    fs.closeSync(fd);
  }
};

const mount: Job<MountRequest, string> = (request, context: JobContext) => mountTree(request, context);
const unmount: Job<{ readonly path: string }, void> = ({ path: target }) => unmountTree(target);

/** Every job a thread of the data plane can do, by name. */
export const jobs = {
  createLayer,
  removeLayers,
  placeLayer,
  measureLayer,
  measureRoom,
  refillLayer,
  syncState,
  mount,
  unmount,
  bindSelected,
  mountTemporary,
  giveFile,
  writeSecret,
  removeSecret,
  commitLayer,
  exportLayer,
  convertBlob,
  surveyTree,
  exportTree,
  tarTree,
  diffTrees,
  settleLayers,
  unpackLayer,
  placeFile,
  settleCheckout,
  applyFileAction,
  contentDigest,
  resolveUser,
  findProgram,
  makeMountpoints,
  removeMountpoints,
  forgetScan,
  scanSummary,
  statSource,
  readSourceFile,
  newestFile,
  openNetwork,
  closeNetwork,
  listenInNetwork,
  openNetlinkSocket,
  closeNetlinkSocket,
  talkNetlink,
};
