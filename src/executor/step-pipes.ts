import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { makeNode, S_IFIFO, systemCode } from "../base/index.js";

/**
 * A step's two outputs as pipes on disk. What Node gives a child are sockets, which cannot be opened again: `echo x > /dev/stdout` would
 * fail in the step. They end when nothing of the step is left to write.
 */
export class StepPipes implements Disposable {
  /** To be opened for the step's first program, as descriptors 3 and 4. */
  readonly files: readonly { readonly path: string; readonly flags: string }[];
  #readers: number[];

  private constructor(paths: readonly string[]) {
    this.files = paths.map((file) => ({ path: file, flags: "w" }));
    this.#readers = paths.map((file) => fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK));
  }

  /** Makes the pipes in DIRECTORY, for OWNER to open again. */
  static make(directory: string, owner: { readonly uid: number; readonly gid: number }): StepPipes {
    const paths = ["stdout", "stderr"].map((name) => path.join(directory, name));
    for (const file of paths) {
      makeNode(file, S_IFIFO | 0o600);
      giveAway(file, owner);
    }
    return new StepPipes(paths);
  }

  /** Reads both to their end; to be called once, when the step's first program holds the other ends. */
  async read(onOutput: (fd: 1 | 2, chunk: Uint8Array) => void): Promise<void> {
    const [stdout, stderr] = this.#readers.splice(0);
    await Promise.all([drain(stdout, (chunk) => onOutput(1, chunk)), drain(stderr, (chunk) => onOutput(2, chunk))]);
  }

  /** Closes pipes that were never read. */
  [Symbol.dispose](): void {
    for (const fd of this.#readers.splice(0)) fs.closeSync(fd);
  }
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

/** `ARGV` with descriptors 3 and 4 as its outputs. */
export function ontoPipes(argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'exec "$@" >&3 2>&4 3>&- 4>&-', "sh", ...argv];
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
