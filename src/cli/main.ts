import os from "node:os";
import { EngineError, exitAtOnce, hasCLibrary, systemCode } from "../base/index.js";
import { dockerConfigFile } from "./docker-config.js";
import { BROKEN_PIPE_CODE } from "./exit-codes.js";
import { runCli } from "./run-cli.js";
import type { StopSignal, Surroundings } from "./surroundings.js";
import { tellOnLines } from "./waiting-lines.js";

// libuv reads it when its first job comes; hashing and compression run there.
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(os.availableParallelism(), 4));

const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", arm: "arm/v7" };

process.on("uncaughtException", onBug);
process.stdout.on("error", (error) => {
  // A build that writes an archive there listens itself, and cleans up before it ends.
  if (process.stdout.listenerCount("error") > 1) return;
  endUnheard(error);
});
process.stderr.on("error", () => undefined); // nobody is left to be told

const leaving = new Set<() => () => void>();

const surroundings: Surroundings = {
  args: process.argv.slice(2),
  env: process.env,
  get cwd() {
    return currentDirectory();
  },
  homeDirectory: os.homedir(),
  platform: `linux/${ARCHITECTURES[process.arch] ?? process.arch}`,
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  clock: {
    now: () => Date.now(),
    after: (delayMs, callback) => {
      const timer = setTimeout(callback, delayMs).unref();
      return () => clearTimeout(timer);
    },
  },
  openEngine: async (options) => {
    const { createEngine } = await import("../engine/index.js");
    const onProgress = tellOnLines(process.stderr);
    return createEngine({ env: process.env, dockerConfig: dockerConfigFile(surroundings), onProgress, ...options });
  },
  onSignal: (handler) => {
    for (const signal of STOP_SIGNALS) process.on(signal, handler);
    return () => {
      for (const signal of STOP_SIGNALS) process.off(signal, handler);
    };
  },
  onSuspend: (leave) => {
    leaving.add(leave);
    return () => leaving.delete(leave);
  },
  exit: (code) => {
    if (process.stdin.isRaw) process.stdin.setRawMode(false);
    endNow(code);
  },
};

process.on("SIGTSTP", suspend);

// Where nothing is left to wait for, nothing will come: that is a failure, not an end.
process.on("beforeExit", () => onBug(new Error("the command stopped without an end")));
runCli(surroundings).then(end, onBug);

/** Words for Node by which it writes, when it ends, what it saw. */
const WATCHING = /--(?:cpu-prof|heap-prof|prof|trace|report|inspect)/;

/**
 * Ends with CODE when whoever listens has all that was said: a pipe may not hold all of it. Node then waits for threads of V8's that may
 * wait for it in turn (nodejs/node#54918), so that a command that has done everything hangs now and then. By then there is nothing to wait
 * for, unless somebody watches the process.
 */
async function end(code: number): Promise<void> {
  // Its event comes in the next turn, which there is none of.
  if (code === 0 && process.stdout.errored) endUnheard(process.stdout.errored);
  for (const stream of [process.stdout, process.stderr])
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write("", () => resolve()));
  const { NODE_V8_COVERAGE: coverage, NODE_OPTIONS: options = "" } = process.env;
  const isWatched = coverage !== undefined || [options, ...process.execArgv].some((words) => WATCHING.test(words));
  if (!isWatched && hasCLibrary()) process.on("exit", () => exitAtOnce(code)); // the last one to listen
  process.exit(code);
}

/** Stops as if nobody listened: the kernel does so only where somebody is there to let the process go on. */
function suspend(): void {
  const comeBack = [...leaving].map((leave) => leave());
  process.off("SIGTSTP", suspend);
  process.kill(process.pid, "SIGTSTP");
  process.on("SIGTSTP", suspend);
  for (const back of comeBack) back();
}

/** Ends because what there is to say can't be written. */
function endUnheard(error: Error): never {
  if (systemCode(error) === "EPIPE") endNow(BROKEN_PIPE_CODE);
  process.stderr.write(`ERROR: writing to standard output: ${error.message}\n`);
  endNow(1);
}

function currentDirectory(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new EngineError("not-found", "the current directory is gone: somebody has removed it", {
      cause,
      hint: "change to a directory that is there",
    });
  }
}

function endNow(code: number): never {
  try {
    exitAtOnce(code);
  } finally {
    process.exit(code); // no C library for this machine
  }
}

function onBug(error: unknown): void {
  process.stderr.write(`ERROR: internal error: ${error instanceof Error ? error.message : String(error)}\n`);
  endNow(1);
}
