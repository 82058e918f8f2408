import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import { EngineError, messageOf, O_NOCTTY } from "../../base/index.js";
import type { SpawnRequest } from "../spawn.js";
import { inNetwork } from "./network.js";
import type { FromWorker } from "./protocol.js";

/** A child's output that the caller has not taken yet is bounded: beyond this its pipes are not read, and it waits. */
const OUTPUT_WINDOW_BYTES = 1 << 20;

/** The programs this thread has started. */
export class Processes {
  readonly #children = new Map<number, Child>();
  readonly #post: (message: FromWorker) => void;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  /** Starts a program; gives its process id once it runs. */
  start(id: number, request: SpawnRequest): Promise<number> {
    const files = (request.extraFiles ?? []).map(({ path, flags }) => fs.openSync(path, flags));
    const [command, ...args] = request.argv;
    if (command === undefined) throw new EngineError("internal", "spawning nothing");
    const { first, last, terminal } = standardFiles(request.stdio);
    const opened = [...files, ...terminal];
    const stdio = [...first, ...files, ...last];
    const start = () => spawn(command, args, { cwd: request.cwd, env: { ...request.env }, stdio });
    const child = request.network === undefined ? start() : inNetwork(request.network, start);
    return new Promise((resolve, reject) => {
      child.once("error", (error) => {
        for (const fd of opened) fs.closeSync(fd);
        reject(new EngineError("unavailable", `starting ${command}: ${messageOf(error)}`, { cause: error }));
      });
      child.once("spawn", () => {
        for (const fd of opened) fs.closeSync(fd);
        this.#children.set(id, new Child(child, (message) => this.#post({ ...message, id } as FromWorker)));
        child.once("close", (code, signal) => {
          this.#children.delete(id);
          this.#post({ type: "exit", id, code, signal });
        });
        resolve(child.pid ?? -1);
      });
    });
  }

  kill(id: number, signal: NodeJS.Signals): void {
    this.#children.get(id)?.kill(signal);
  }

  taken(id: number, bytes: number): void {
    this.#children.get(id)?.taken(bytes);
  }
}

type Output = { readonly type: "output"; readonly fd: 1 | 2; readonly chunk: Uint8Array };

class Child {
  readonly #process: ChildProcess;
  #untakenBytes = 0;

  constructor(process: ChildProcess, post: (message: Output) => void) {
    this.#process = process;
    for (const [fd, stream] of [
      [1, process.stdout],
      [2, process.stderr],
    ] as const) {
      stream?.on("data", (chunk: Buffer) => {
        post({ type: "output", fd, chunk });
        this.#untakenBytes += chunk.length;
        if (this.#untakenBytes > OUTPUT_WINDOW_BYTES) this.#streams((each) => each.pause());
      });
    }
  }

  taken(bytes: number): void {
    this.#untakenBytes -= bytes;
    if (this.#untakenBytes <= OUTPUT_WINDOW_BYTES) this.#streams((each) => each.resume());
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  #streams(act: (stream: NodeJS.ReadableStream) => void): void {
    for (const stream of [this.#process.stdout, this.#process.stderr]) if (stream) act(stream);
  }
}

const STDERR = 2;

interface StandardFiles {
  /** For descriptors 0, 1 and 2. */
  readonly first: readonly ("ignore" | "pipe" | number)[];
  /** After all others. */
  readonly last: readonly number[];
  /** What was opened for it. */
  readonly terminal: readonly number[];
}

function standardFiles(stdio: SpawnRequest["stdio"]): StandardFiles {
  if (stdio === "pipe") return { first: ["ignore", "pipe", "pipe"], last: [], terminal: [] };
  if (stdio === "inherit") return { first: [0, 1, "pipe"], last: [STDERR], terminal: [] };
  const terminal = fs.openSync(stdio.terminal, fs.constants.O_RDWR | O_NOCTTY);
  return { first: [terminal, terminal, "pipe"], last: [terminal], terminal: [terminal] };
}
