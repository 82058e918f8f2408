import fs from "node:fs";
import path from "node:path";
import { parentPort } from "node:worker_threads";
import {
  CLONE_FS,
  changeDirectory,
  closeDescriptor,
  EngineError,
  errorCode,
  messageOf,
  setUmask,
  unshare,
} from "../../base/index.js";
import type { FromThread, ToThreadWorker } from "../../snapshot/index.js";
import { LISTENER } from "./calls.js";
import { loadNative } from "./native.js";
import { supervise } from "./supervisor.js";
import { Place } from "./tracee.js";

/** A thread that supervises steps, one after the other: a job each. It lives beside the data plane's threads. */
const port = parentPort;
if (!port) throw new Error("this file is the entry of a worker thread");
const post = (message: FromThread): void => port.postMessage(message);
const native = loadNative();
const ACCEPT_MS = 50;

unshare(CLONE_FS);
setUmask(0);
Place.settle();

/** What a step's supervisor has to know. */
export interface SupervisedStep {
  /** The step's bundle. */
  readonly directory: string;
  readonly groups: readonly number[];
}

port.on("message", (message: ToThreadWorker) => {
  if (message.type === "end") process.exit();
  if (message.type !== "job") return;
  const { id, args, cancel } = message;
  const checkCanceled = () => {
    if (Atomics.load(cancel, 0) !== 0) throw new EngineError("canceled", "canceled");
  };
  try {
    attend(args as SupervisedStep, { checkCanceled, onReady: () => post({ type: "progress", id, progress: READY }) });
    post({ type: "done", id, value: undefined });
  } catch (error) {
    post({ type: "failed", id, error: { code: errorCode(error), message: messageOf(error) } });
  }
});

const READY = { current: 1, unit: "files" } as const;

interface Attending {
  readonly checkCanceled: () => void;
  /** Called once the runtime may connect. */
  readonly onReady: () => void;
}

function attend({ directory, groups }: SupervisedStep, { checkCanceled, onReady }: Attending): void {
  // The socket's path may be longer than an address can be.
  const cwd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  changeDirectory(cwd);
  fs.closeSync(cwd);
  const listener = native.listenAt(LISTENER);
  let fd: number;
  try {
    onReady();
    while (native.wait(listener, ACCEPT_MS) !== "ready") checkCanceled();
    fd = native.receiveDescriptor(listener);
  } finally {
    closeDescriptor(listener);
    fs.rmSync(path.join(directory, LISTENER), { force: true });
  }
  try {
    supervise(native, { fd, groups, checkCanceled });
  } finally {
    closeDescriptor(fd);
  }
}
