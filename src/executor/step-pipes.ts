import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { makeNode, S_IFIFO, systemCode } from "../base/index.js";

/** The name of each pipe by its descriptor in the step's first program, from 3 on. */
const NAMES = ["life", "stdout", "stderr"] as const;

/**
 * A step's two outputs as pipes on disk, and one by which it can tell whether the engine lives. What Node gives a child are sockets, which
 * cannot be opened again: `echo x > /dev/stdout` would fail in the step. They end when nothing of the step is left to write.
 */
export class StepPipes implements Disposable {
  /** To be opened for the step's first program, as descriptors 3, 4 and 5. */
  readonly files: readonly { readonly path: string; readonly flags: string }[];
  readonly #readers: Map<string, number>;

  private constructor(directory: string) {
    const paths = NAMES.map((name) => path.join(directory, name));
    this.files = paths.map((file) => ({ path: file, flags: "w" }));
    const flags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;
    this.#readers = new Map(NAMES.map((name, i) => [name, fs.openSync(paths[i] ?? "", flags)]));
  }

  /** Makes the pipes in DIRECTORY, for OWNER to open again. */
  static make(directory: string, owner: { readonly uid: number; readonly gid: number }): StepPipes {
    for (const name of NAMES) {
      const file = path.join(directory, name);
      makeNode(file, S_IFIFO | 0o600);
      giveAway(file, owner);
    }
    return new StepPipes(directory);
  }

  /** Reads both outputs to their end; to be called once, when the step's first program holds the other ends. */
  async read(onOutput: (fd: 1 | 2, chunk: Uint8Array) => void): Promise<void> {
    const stdout = this.#take("stdout");
    const stderr = this.#take("stderr");
    await Promise.all([drain(stdout, (chunk) => onOutput(1, chunk)), drain(stderr, (chunk) => onOutput(2, chunk))]);
  }

  /** Closes what was not read. */
  [Symbol.dispose](): void {
    for (const fd of this.#readers.values()) fs.closeSync(fd);
    this.#readers.clear();
  }

  #take(name: (typeof NAMES)[number]): number | undefined {
    const fd = this.#readers.get(name);
    this.#readers.delete(name);
    return fd;
  }
}

/**
 * ARGV below a shell that runs as the first process of a pid namespace and ends as ARGV does. It has been told to die with its parent, but a
 * parent that was gone before would tell nobody: so it writes to the engine first, and a pipe without a reader kills it. The shell stays,
 * since a step that changes its user would lose the order to die. Of OUTPUTS that are inherited, that for errors comes after the pipes:
 * what the programs around the shell say is not for whoever looks at the step.
 */
export function supervised(argv: readonly string[], outputs: "pipes" | "inherited"): string[] {
  const run = outputs === "pipes" ? '"$@" >&4 2>&5 3>&- 4>&- 5>&-' : '"$@" 2>&6 3>&- 4>&- 5>&- 6>&-';
  return ["/bin/sh", "-c", `echo >&3 || exit 1; ${run}; exit $?`, "sh", ...argv];
}

/** An ordinary user cannot give files away, but nobody else can reach this one: the directory is the engine's alone. */
function giveAway(file: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  try {
    fs.chownSync(file, uid, gid);
  } catch (error) {
    if (systemCode(error) !== "EPERM") throw error;
    fs.chmodSync(file, 0o666);
  }
}

function drain(fd: number | undefined, onChunk: (chunk: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new net.Socket({ fd, readable: true, writable: false });
    socket
      .on("data", onChunk)
      .on("error", reject)
      .on("close", () => resolve());
  });
}
