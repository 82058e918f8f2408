import fs from "node:fs";
import path from "node:path";
import {
  EngineError,
  lazy,
  MNT_DETACH,
  MS_BIND,
  MS_RDONLY,
  MS_REMOUNT,
  mount,
  systemCode,
  unmount,
} from "../../base/index.js";
import type { StateDirs } from "../state-dirs.js";
import { type LayerId, TREE_LAYERS_MAX, type Tree } from "../tree.js";
import { isInUserNamespace } from "../user-namespace.js";
import { fromText } from "./bytes.js";
import type { JobContext } from "./context.js";
import { mountFuseStack } from "./fuse-overlay.js";
import { checkPresent } from "./layer-presence.js";
import { whiteoutsAreMarked } from "./layer-whiteout.js";
import { materialise } from "./native.js";
import type { Snapshotter, WorkerData } from "./protocol.js";
import { removeTree } from "./remove.js";

/** What to mount: a tree to read, or a tree with a layer on top to write. */
export interface MountRequest {
  readonly tree: Tree;
  /** The layer that takes the writes; absent: read-only. */
  readonly upper?: LayerId | undefined;
}

/**
 * No redirects, made or followed, no metacopy, no index: an upper directory must mean the same wherever it is stacked. In a user namespace marks are attributes
 * of the user's (kernel 5.11), and there are no redirects and no metacopy anyway.
 */
const overlayOptions = lazy(() =>
  isInUserNamespace() ? "userxattr,index=off" : "redirect_dir=nofollow,metacopy=off,index=off",
);
/** mount(2) takes one page of options. */
const MOUNT_DATA_MAX_BYTES = 4095;

let counter = 0;

/** Mounts a tree at a fresh directory below `dirs.mounts` and gives its path. The caller calls `unmountTree`. */
export function mountTree(request: MountRequest, context: JobContext): string {
  const target = path.join(context.dirs.mounts, `${process.pid}-${threadSerial()}-${counter++}`);
  fs.mkdirSync(target, { mode: 0o700 });
  try {
    mountAt(target, request, context);
  } catch (error) {
    fs.rmdirSync(target);
    throw error;
  }
  return target;
}

/** Takes a mount of `mountTree` away, at once for everybody who has nothing open in it. */
export function unmountTree(target: string): void {
  unmount(target, MNT_DETACH);
  if (fs.lstatSync(target).isDirectory()) fs.rmdirSync(target);
  else fs.unlinkSync(target);
}

function mountAt(target: string, { tree, upper }: MountRequest, context: JobContext): void {
  if (tree.length === 0) {
    const source = upper === undefined ? path.join(context.dirs.layers, "empty") : layerDir(context, upper);
    bind(source, target, upper === undefined);
    return;
  }
  if (context.snapshotter === "native") {
    bind(materialise({ tree, upper }, context), target, upper === undefined);
    return;
  }
  const lowers = [...tree].reverse().map((id) => `${id}/fs`);
  if (upper === undefined && lowers.length === 1) lowers.push("empty");
  const options = [
    `lowerdir=${lowers.join(":")}`,
    ...(upper === undefined ? [] : [`upperdir=${upper}/fs`, `workdir=${upper}/work`]),
    ...(context.snapshotter === "overlay" ? [overlayOptions()] : []),
  ].join(",");
  if (tree.length > TREE_LAYERS_MAX || options.length > MOUNT_DATA_MAX_BYTES) {
    const limit = tree.length > TREE_LAYERS_MAX ? TREE_LAYERS_MAX : "about 400";
    throw new EngineError("unsupported", `an image of ${tree.length} layers cannot be mounted: the limit is ${limit}`);
  }
  if (context.snapshotter === "fuse-overlayfs") {
    mountFuseStack(fuseProgram(context), { options, target });
    if (upper === undefined) mount("none", target, "none", MS_BIND | MS_REMOUNT | MS_RDONLY);
    return;
  }
  try {
    mount("overlay", target, "overlay", upper === undefined ? MS_RDONLY : 0, options);
  } catch (error) {
    checkPresent(tree);
    throw new EngineError(
      "unavailable",
      `mounting an overlay file system below ${context.dirs.layers}: ${systemCode(error) ?? error}`,
      {
        cause: error,
      },
    );
  }
}

function bind(source: string, target: string, readonly: boolean): void {
  mount(source, target, "none", MS_BIND);
  if (readonly) mount("none", target, "none", MS_BIND | MS_REMOUNT | MS_RDONLY);
}

function fuseProgram({ fuseOverlay }: JobContext): string {
  if (fuseOverlay !== undefined) return fuseOverlay;
  throw new EngineError("unavailable", "no fuse-overlayfs program found", { hint: "install fuse-overlayfs" });
}

/**
 * How layers become a file system here, WANTED if that can be, else the next best: to be asked before any layer is made. Once whiteouts are
 * marked files, layers are copied ever after.
 */
export function usableSnapshotter({ dirs, snapshotter, fuseOverlay }: WorkerData): Snapshotter {
  const stacked = !whiteoutsAreMarked(dirs.layers);
  if (stacked && snapshotter === "overlay" && stackingWorks(dirs, mountProbe)) return "overlay";
  if (stacked && snapshotter !== "native" && fuseOverlay !== undefined) {
    const mounted = stackingWorks(dirs, (options, target) => mountFuseStack(fuseOverlay, { options, target }));
    if (mounted) return "fuse-overlayfs";
  }
  return "native";
}

function mountProbe(options: string, target: string): void {
  mount("overlay", target, "overlay", 0, `${options},${overlayOptions()}`);
}

/** Whether layers can be stacked: two empty directories are, and taken apart again. The cwd is the layers' directory. */
function stackingWorks({ layers }: StateDirs, mountAt: (options: string, target: string) => void): boolean {
  const name = `probe-${process.pid}-${threadSerial()}`;
  const probe = path.join(layers, name);
  const target = path.join(probe, "target");
  try {
    for (const each of ["fs", "work", "target"]) fs.mkdirSync(path.join(probe, each), { recursive: true });
    mountAt(`lowerdir=empty,upperdir=${name}/fs,workdir=${name}/work`, target);
    unmount(target, MNT_DETACH);
    return true;
  } catch {
    return false;
  } finally {
    removeTree(fromText(probe));
  }
}

/** The directory of a layer. */
export function layerDir(context: JobContext, id: LayerId): string {
  return path.join(context.dirs.layers, String(id), "fs");
}

/** Distinguishes this thread's mount points from other threads'. */
const threadSerial = lazy(() => fs.readlinkSync("/proc/thread-self").split("/").at(-1));
