import { spawn } from "node:child_process";
import { Writable } from "node:stream";
import { EngineError, findExecutable, messageOf, searchDirectories } from "../base/index.js";

/** An archive of images on its way into another engine's store. */
export interface ImageLoader {
  readonly program: "docker" | "podman";
  /** Whether it keeps several platforms, and attestations, under one name. */
  readonly takesIndexes: boolean;
  /** Why it isn't the one that comes first. */
  readonly notice: string | undefined;
  /** Takes the archive. It finishes once the image is loaded, and fails with the program's own words. */
  readonly archive: Writable;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `docker load` where a daemon answers, else `podman load`; it starts with the archive's first byte. Throws `not-found` where neither is on
 * the PATH, `unavailable` where there is but a client of docker's without a daemon, or the daemon was named (DOCKER_HOST, DOCKER_CONTEXT)
 * and doesn't answer.
 */
export async function createImageLoader(env: Environment): Promise<ImageLoader> {
  const [docker, podman] = (["docker", "podman"] as const).map((name) =>
    findExecutable(name, searchDirectories(env.PATH ?? "")),
  );
  const daemon = docker === undefined ? undefined : await askDaemon(docker, env);
  if (docker !== undefined && daemon?.isUp) {
    const takesIndexes = daemon.said.includes(CONTAINERD_STORE);
    return { program: "docker", takesIndexes, notice: undefined, archive: new LoadStream(docker, "docker", env) };
  }
  const named = DAEMON_VARIABLES.find((name) => env[name]);
  if (daemon !== undefined && named !== undefined) {
    const hint = `${named} names the daemon; without it, the image would go to podman or docker's usual daemon.`;
    throw new EngineError("unavailable", `loading the image: docker's daemon does not answer: ${daemon.said}`, {
      hint,
    });
  }
  if (podman !== undefined) {
    const notice = daemon && `docker's daemon does not answer, so the image goes to podman: ${daemon.said}`;
    return { program: "podman", takesIndexes: false, notice, archive: new LoadStream(podman, "podman", env) };
  }
  const hint = "Use -o type=docker,dest=FILE to write the archive to a file.";
  if (daemon === undefined)
    throw new EngineError("not-found", "loading the image: neither docker nor podman is on the PATH", { hint });
  throw new EngineError("unavailable", `loading the image: docker's daemon does not answer: ${daemon.said}`, { hint });
}

/** By these people say which daemon they mean. */
const DAEMON_VARIABLES = ["DOCKER_HOST", "DOCKER_CONTEXT"];
/** What the daemon says of its images where containerd keeps them. */
const CONTAINERD_STORE = "io.containerd.snapshotter.v1";
/** Until a daemon that says nothing is believed to be none. Milliseconds. */
const ASK_TIMEOUT_MS = 20_000;

interface Daemon {
  readonly isUp: boolean;
  /** What it told of itself, or the client's complaint. */
  readonly said: string;
}

async function askDaemon(file: string, env: Environment): Promise<Daemon> {
  const words = ["info", "--format", "{{json .DriverStatus}}"];
  const child = spawn(file, words, { stdio: ["ignore", "pipe", "pipe"], env, timeout: ASK_TIMEOUT_MS });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk: Buffer) => {
      if (said[name].length < MAX_SAID_BYTES) said[name] += chunk.toString();
    });
  }
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ isUp: false, said: messageOf(error) }));
    child.once("close", (code) => {
      if (code === 0) return resolve({ isUp: true, said: said.stdout });
      const complaint = said.stderr
        .trim()
        .split("\n")[0]
        ?.replace(/^ERROR: /, "");
      resolve({ isUp: false, said: complaint || "it says nothing" });
    });
  });
}

/** Bytes of the program's words that are kept. */
const MAX_SAID_BYTES = 64 * 1024;

class LoadStream extends Writable {
  readonly #file: string;
  readonly #program: string;
  readonly #env: Environment;
  #child: ReturnType<typeof spawnLoad> | undefined;
  #ended: Promise<void> | undefined;

  constructor(file: string, program: string, env: Environment) {
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

function spawnLoad(file: string, env: Environment) {
  return spawn(file, ["load"], { stdio: ["pipe", "pipe", "pipe"], env });
}
