import fs from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import {
  CLONE_FS,
  CLONE_NEWNS,
  EngineError,
  errorCode,
  MS_PRIVATE,
  MS_REC,
  messageOf,
  mount,
  setns,
  setUmask,
  systemCode,
  threadId,
  unshare,
} from "../../base/index.js";
import type { JobContext, JobProgress } from "./context.js";
import { jobs } from "./jobs.js";
import { unlessLost } from "./layer-presence.js";
import { usableSnapshotter } from "./mounting.js";
import { setOwnership } from "./ownership.js";
import { Processes } from "./processes.js";
import type { FromWorker, Ground, PlainError, ToWorker, WorkerData } from "./protocol.js";
import { Root } from "./root.js";

/**
 * A thread of the data plane. Its root, cwd and umask are its own, and after `found` or `join` so is its mount namespace: the process it
 * lives in notices nothing. Jobs are synchronous, or wait for zlib only.
 */
const data = workerData as WorkerData;
const { dirs, ownership, fuseOverlay } = data;
let { snapshotter } = data;
setOwnership(ownership);
const port = parentPort;
if (!port) throw new Error("this file is the entry of a worker thread");
const post = (message: FromWorker): void => port.postMessage(message);
const processes = new Processes(post);
const PROGRESS_INTERVAL_MS = 100;

port.on("message", (message: ToWorker) => {
  switch (message.type) {
    case "kill":
      return processes.kill(message.id, message.signal);
    case "taken":
      return processes.taken(message.id, message.bytes);
    case "end":
      return process.exit();
    default:
      answer(message.id, () => perform(message));
  }
});

async function answer(id: number, work: () => unknown): Promise<void> {
  try {
    post({ type: "done", id, value: await work() });
  } catch (error) {
    post({ type: "failed", id, error: plain(unlessLost(error)) });
  }
}

function perform(message: Exclude<ToWorker, { type: "kill" | "taken" | "end" }>): unknown {
  switch (message.type) {
    case "found":
      return foundNamespace();
    case "join":
      return joinNamespace(message);
    case "spawn":
      return processes.start(message.id, message.request);
    case "job": {
      const job = jobs[message.name as keyof typeof jobs] as (args: unknown, context: JobContext) => unknown;
      return job(message.args, contextOf(message.id, message.cancel));
    }
  }
}

function contextOf(id: number, cancel: Int32Array): JobContext {
  let reportedAt = 0;
  return {
    dirs,
    snapshotter,
    fuseOverlay,
    checkCanceled() {
      if (Atomics.load(cancel, 0) !== 0) throw new EngineError("canceled", "canceled");
    },
    report(progress: JobProgress) {
      const now = performance.now();
      if (now - reportedAt < PROGRESS_INTERVAL_MS) return;
      reportedAt = now;
      post({ type: "progress", id, progress });
    },
  };
}

/** Steps out of the process's shared root and cwd into a mount namespace of this thread's own. */
function foundNamespace(): Ground {
  unshare(CLONE_FS | CLONE_NEWNS);
  setUmask(0);
  mount("none", "/", "none", MS_REC | MS_PRIVATE);
  mount("tmpfs", dirs.mounts, "tmpfs", 0, "mode=0700");
  Root.settle(dirs.layers);
  snapshotter = usableSnapshotter(data);
  return { tid: threadId(), snapshotter };
}

function joinNamespace({ tid, snapshotter: usable }: Ground): void {
  snapshotter = usable;
  const fd = fs.openSync(`/proc/${process.pid}/task/${tid}/ns/mnt`, "r");
  try {
    unshare(CLONE_FS);
    setns(fd, CLONE_NEWNS);
    setUmask(0);
  } finally {
    fs.closeSync(fd);
  }
  Root.settle(dirs.layers);
}

function plain(error: unknown): PlainError {
  const hint = error instanceof EngineError ? error.hint : undefined;
  const stack = error instanceof Error ? error.stack : undefined;
  return { code: errorCode(error), message: messageOf(error), hint, stack, system: systemCode(error) };
}
