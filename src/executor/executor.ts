import type { AbortOptions, TerminalSize } from "../base/index.js";
import type { StepDevices } from "./cdi/index.js";

/** Runs the process of one step on a root file system, and lets nothing of it live on. */
export interface Executor {
  /**
   * Runs PROCESS with ROOTFS (a directory, as the data plane's private mount namespace sees it) as "/". Settles when every process of
   * the step is gone and all its output has been handed over; the caller still owns ROOTFS. A command that could not be started is an
   * `exited` with a reason. Throws EngineError `canceled` on abort, `denied` for what the sandbox refuses, `unavailable` where the step
   * could not be run at all.
   */
  run(process: StepProcess, rootfs: string, options: RunOptions): Promise<Exit>;
}

export interface RunOptions extends AbortOptions {
  /** Takes what the step writes, as it comes; the chunk is the taker's. Must not throw. */
  readonly onOutput: (fd: 1 | 2, chunk: Uint8Array) => void;
  /** What the runtime complains of although the step ran. */
  readonly onWarning?: ((sentence: string) => void) | undefined;
  /** What the step gets instead of /dev/null and `onOutput`: this process's own three, or a terminal of its own that is shown on another. */
  readonly stdio?: "inherited" | Terminal | undefined;
}

/** A terminal that somebody sits at. Whoever lends it gives keys as they are pressed (raw mode), and has it to himself again after. */
export interface Terminal {
  readonly input: Pick<NodeJS.ReadableStream, "on" | "off" | "pause" | "resume">;
  readonly output: NodeJS.WritableStream;
  size(): TerminalSize;
  /** Calls LISTENER when the size has changed, until the returned function is called. */
  onResize(listener: () => void): () => void;
}

/** How a step's process ended. A process killed by a signal is `exited` with 128 plus the signal, as runtimes tell it. */
export type Exit =
  /** `reason`: why the command could not be started; the code is then 1. */
  | {
      readonly kind: "exited";
      readonly code: number;
      readonly reason?: string | undefined;
      /** The kernel has killed a process of the step for want of memory. */
      readonly outOfMemory?: boolean;
    }
  /** Something outside killed the runtime, and the step with it. */
  | { readonly kind: "signaled"; readonly signal: string };

/** A process as data; users and paths are resolved already. */
export interface StepProcess {
  readonly args: readonly string[];
  /** `KEY=value`, in order. HOME is added where it is not set: the user's, else what the runtime finds in the root's /etc/passwd. */
  readonly env: readonly string[];
  /** Absolute. Where it is missing it is made, owned by root, mode 0755. */
  readonly cwd: string;
  readonly user: StepUser;
  /** In any order; they hide the default mount of the same destination. */
  readonly mounts: readonly StepMount[];
  readonly hostname: string;
  /** `sandbox` is one of its own, connected to the outside, where the machine allows that; `none` has a loopback device only. */
  readonly network: "sandbox" | "host" | "none";
  readonly security: "sandbox" | "insecure";
  /** An address, or `HOST_GATEWAY`: where the step finds this machine. */
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  /** By the names of `docker build --ulimit`: `nofile`, `memlock`, … */
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  /** The size of /dev/shm; 64 MiB when absent. */
  readonly shmSizeBytes?: number | undefined;
  readonly cgroupParent?: string | undefined;
  readonly resources?: StepResources | undefined;
  /** Beside the usual ones. */
  readonly devices?: Pick<StepDevices, "nodes" | "hooks"> | undefined;
}

/** Bounds that a control group sets; they are those of linux.resources of the runtime spec, absent where there is none. */
export interface StepResources {
  readonly memoryBytes?: number;
  /** Memory and swap together; -1 is no limit. */
  readonly memorySwapBytes?: number;
  readonly cpuShares?: number;
  /** Microseconds. */
  readonly cpuPeriod?: number;
  /** Microseconds of each period; -1 is no limit. */
  readonly cpuQuota?: number;
  /** `0-3,7` */
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
}

export interface StepUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** As /etc/passwd has it, `/` for a user it does not know. crun needs it for the latter: it finds no HOME there, where runc takes `/`. */
  readonly home?: string | undefined;
}

export type StepMountFlag = "nosuid" | "nodev" | "noexec";

export type StepMount =
  | {
      readonly kind: "bind";
      /** As the data plane's mount namespace sees it. */
      readonly source: string;
      readonly destination: string;
      readonly readonly: boolean;
      readonly flags?: readonly StepMountFlag[];
    }
  | {
      readonly kind: "tmpfs";
      readonly destination: string;
      readonly sizeBytes?: number | undefined;
      /** The root directory's; absent: the runtime's choice, which is the mode of what it hides for runc. */
      readonly mode?: number | undefined;
      readonly readonly?: boolean;
      readonly flags?: readonly StepMountFlag[];
    };
