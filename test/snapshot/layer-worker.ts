import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import {
  CLONE_FS,
  CLONE_NEWNS,
  EngineError,
  errorCode,
  listXattrs,
  MS_PRIVATE,
  MS_REC,
  mount,
  setUmask,
  unshare,
} from "../../src/base/index.js";
import type { StateDirs } from "../../src/snapshot/state-dirs.js";
import { commitLayer } from "../../src/snapshot/worker/commit.js";
import type { JobContext } from "../../src/snapshot/worker/context.js";
import { jobs } from "../../src/snapshot/worker/jobs.js";
import { tarTree } from "../../src/snapshot/worker/layer-archive.js";
import { exportTree } from "../../src/snapshot/worker/layer-checkout.js";
import { readLink } from "../../src/snapshot/worker/layer-compare.js";
import { diffTrees } from "../../src/snapshot/worker/layer-diff.js";
import { exportLayer } from "../../src/snapshot/worker/layer-export.js";
import { entriesIn, inodeKey, statOf } from "../../src/snapshot/worker/layer-stat.js";
import { xattrsOf } from "../../src/snapshot/worker/layer-xattrs.js";
import { type MountRequest, mountTree, unmountTree } from "../../src/snapshot/worker/mounting.js";
import { Root } from "../../src/snapshot/worker/root.js";
import { settleLayers } from "../../src/snapshot/worker/settle.js";
import { unpackLayer } from "../../src/snapshot/worker/unpack.js";
import type { Ground } from "./harness.js";

/** What a test sees of a file. */
export interface Seen {
  readonly kind: string;
  readonly mode: number;
  readonly owner: string;
  readonly mtimeNs?: string;
  readonly content?: string;
  readonly link?: string;
  readonly rdev?: number;
  readonly xattrs?: Record<string, string>;
  /** The first name of the same file. */
  readonly same?: string;
}

const { dirs, ground } = workerData as { dirs: StateDirs; ground: Ground };

const SCRIPT_TIMEOUT_MS = 30_000;

/** Runs a script with the mounted tree as its cwd. */
function script({ text, ...request }: MountRequest & { text: string }, context: JobContext): string {
  const target = mountTree(request, context);
  try {
    const result = spawnSync("/bin/sh", ["-euc", text], { cwd: target, encoding: "utf8", timeout: SCRIPT_TIMEOUT_MS });
    if (result.status !== 0) throw new Error(`${text}: ${result.stderr}`);
    return result.stdout;
  } finally {
    unmountTree(target);
  }
}

/** Everything in a mounted tree, by name (latin1). */
function look(request: MountRequest, context: JobContext): Map<string, Seen> {
  const target = mountTree(request, context);
  try {
    return lookAt({ directory: target });
  } finally {
    unmountTree(target);
  }
}

function lookAt({ directory }: { directory: string }): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const firstNames = new Map<string, string>();
  const visit = (at: string, prefix: string): void => {
    for (const { name, path, stat } of entriesIn(at)) {
      const key = inodeKey(stat);
      const first = stat.kind === "directory" ? undefined : firstNames.get(key);
      if (first === undefined) firstNames.set(key, prefix + name);
      const xattrs = xattrsOf(path);
      seen.set(prefix + name, {
        kind: stat.kind,
        mode: stat.mode,
        owner: `${stat.uid}:${stat.gid}`,
        ...(stat.kind !== "directory" && { mtimeNs: String(stat.mtimeNs) }),
        ...(stat.kind === "file" && {
          content: createHash("sha256")
            .update(fs.readFileSync(Buffer.from(path, "latin1")))
            .digest("hex"),
        }),
        ...(stat.kind === "symlink" && { link: readLink(path) }),
        ...((stat.kind === "char" || stat.kind === "block") && { rdev: stat.rdev }),
        ...(xattrs.size > 0 && {
          xattrs: Object.fromEntries([...xattrs].map(([k, v]) => [k, Buffer.from(v).toString("hex")])),
        }),
        ...(first !== undefined && { same: first }),
      });
      if (stat.kind === "directory") visit(path, `${prefix}${name}/`);
    }
  };
  visit(directory, "");
  return seen;
}

/** Mounts an overlay file system over the layers' directory, as only this thread sees it: whiteouts can't be devices there. */
function coverWithOverlay(): void {
  const [upper, work] = ["upper", "work"].map((name) => path.join(dirs.root, name));
  if (!upper || !work) return;
  for (const directory of [upper, work]) fs.mkdirSync(directory);
  mount("overlay", dirs.layers, "overlay", 0, `lowerdir=${dirs.layers},upperdir=${upper},workdir=${work}`);
}

/** Each file of a layer as it is on disk: its type as `ls -l` shows it, and the names of its attributes. */
function rawFiles({ layer }: { layer: number }): Record<string, { type: string; xattrs: string[] }> {
  const names = fs.readdirSync(`${layer}/fs`, { recursive: true, encoding: "utf8" });
  return Object.fromEntries(
    names.sort().map((name) => {
      const at = `${layer}/fs/${name}`;
      const stat = fs.lstatSync(at);
      return [name, { type: stat.isFile() ? "-" : stat.isDirectory() ? "d" : "other", xattrs: listXattrs(at) }];
    }),
  );
}

const rootMtime = ({ path }: { path: string }) => String(statOf(path)?.mtimeNs);

export const testJobs = {
  createLayer: jobs.createLayer,
  script,
  look,
  lookAt,
  rawFiles,
  rootMtime,
  commitLayer,
  exportLayer,
  convertBlob: jobs.convertBlob,
  surveyTree: jobs.surveyTree,
  unpackLayer,
  settleLayers,
  diffTrees,
  tarTree,
  exportTree,
};

unshare(CLONE_FS | CLONE_NEWNS);
setUmask(0);
mount("none", "/", "none", MS_REC | MS_PRIVATE);
mount("tmpfs", dirs.mounts, "tmpfs", 0, "mode=0700");
if (ground === "native on overlay") coverWithOverlay();
Root.settle(dirs.layers);
const snapshotter = ground === "overlay" ? "overlay" : "native";
const context: JobContext = { dirs, snapshotter, checkCanceled: () => {}, report: () => {} };

parentPort?.on("message", async ({ id, name, args }: { id: number; name: keyof typeof testJobs; args: never }) => {
  try {
    const value = await testJobs[name](args, context);
    parentPort?.postMessage({ id, value });
  } catch (error) {
    const message = error instanceof EngineError ? error.message : String((error as Error).stack ?? error);
    parentPort?.postMessage({ id, error: { code: errorCode(error), message } });
  }
});
