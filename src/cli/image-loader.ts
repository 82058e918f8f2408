import { spawn } from "node:child_process";
import { Writable } from "node:stream";
import { EngineError, findExecutable, searchDirectories } from "../base/index.js";

/** A docker archive on its way into another engine's store. */
export interface ImageLoader {
  readonly program: "docker" | "podman";
  /** Takes the archive. It finishes once the image is loaded, and fails with the program's own words. */
  readonly archive: Writable;
}

/** `docker load` or `podman load`, whichever is on the PATH; it starts with the archive's first byte. Throws `not-found`. */
export function createImageLoader(env: Readonly<Record<string, string | undefined>>): ImageLoader {
  for (const program of ["docker", "podman"] as const) {
    const file = findExecutable(program, searchDirectories(env.PATH ?? ""));
    if (file !== undefined) return { program, archive: new LoadStream(file, program, env) };
  }
  throw new EngineError("not-found", "loading the image: neither docker nor podman is on the PATH", {
    hint: "Use -o type=docker,dest=FILE to write the archive to a file.",
  });
}

/** Bytes of the program's words that are kept. */
const MAX_SAID_BYTES = 64 * 1024;

class LoadStream extends Writable {
  readonly #file: string;
  readonly #program: string;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #child: ReturnType<typeof spawnLoad> | undefined;
  #ended: Promise<void> | undefined;

  constructor(file: string, program: string, env: Readonly<Record<string, string | undefined>>) {
    super();
    this.on("error", () => undefined); // whoever waits for the end is told
    this.#file = file;
    this.#program = program;
    this.#env = env;
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    // A program that gave up closes its input; what it said when it ended tells more than the broken pipe.
    this.#start().stdin.write(chunk, (error) => (error ? this.#settle(done) : done()));
  }

  override _final(done: (error?: Error) => void): void {
    this.#start().stdin.end();
    this.#settle(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#child?.exitCode === null) this.#child.kill("SIGTERM");
    done(error);
  }

  #settle(done: (error?: Error) => void): void {
    (this.#ended ?? Promise.resolve()).then(() => done(), done);
  }

  #start(): ReturnType<typeof spawnLoad> {
    if (!this.#child) {
      this.#child = spawnLoad(this.#file, this.#env);
      this.#ended = this.#outcome(this.#child);
      this.#ended.catch(() => undefined); // told through the stream
    }
    return this.#child;
  }

  async #outcome(child: ReturnType<typeof spawnLoad>): Promise<void> {
    let said = "";
    const listen = (chunk: Buffer) => {
      if (said.length < MAX_SAID_BYTES) said += chunk.toString();
    };
    child.stdout.on("data", () => undefined);
    child.stderr.on("data", listen);
    child.stdin.on("error", () => undefined); // told by the exit code
    const code = await new Promise<number | string | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve(status ?? signal));
    });
    if (code === 0) return;
    const words = said.trim() || `it ended with ${code}`;
    throw new EngineError("failed", `${this.#program} load: ${words}`);
  }
}

function spawnLoad(file: string, env: Readonly<Record<string, string | undefined>>) {
  return spawn(file, ["load"], { stdio: ["pipe", "pipe", "pipe"], env });
}
