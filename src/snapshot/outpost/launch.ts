import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { EngineError, messageOf } from "../../base/index.js";
import { mapOf, type NamespaceOwnership } from "../user-namespace.js";
import { namespaceAdvice } from "./advice.js";
import type { OutpostOptions } from "./outpost.js";
import type { FromOutpost, ToOutpost } from "./protocol.js";

/** A running outpost. */
export interface OutpostProcess {
  send(message: ToOutpost): void;
  /** Whether the caller's process stays for its sake. */
  hold(): void;
  release(): void;
  /** Kills it and waits for its end. */
  end(): Promise<void>;
}

export interface OutpostListener {
  message(message: FromOutpost): void;
  exited(): void;
}

/** Descriptors of the child beside the first three. */
const GATE_FD = 4;
const TERMINAL_FD = 5;
const COMPLAINT_MAX_CHARS = 4096;
const MIN_POOL_THREADS = 4;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Says that the namespace is there, waits until its map is written, and becomes ARGV, whose capabilities come from the map. Until then its
 * error output is ours.
 */
const BEHIND_THE_GATE = `echo >&${GATE_FD} && read -r _ <&${GATE_FD} && exec "$@" ${GATE_FD}>&- 2>&${TERMINAL_FD} ${TERMINAL_FD}>&-`;

/**
 * Starts the process in a new user namespace. Throws EngineError `unavailable` with what to change on the machine where there can be none,
 * `denied` where the ids of the map are not granted.
 */
export async function launchOutpost(options: OutpostOptions, listener: OutpostListener): Promise<OutpostProcess> {
  const { ownership, unshare, node, entry, threads } = options;
  const map = ownership.kind === "single" ? ["--map-root-user"] : [];
  const argv = ["--user", ...map, "--", "/bin/sh", "-c", BEHIND_THE_GATE, "sh", node, entry];
  const child = spawn(unshare, argv, {
    cwd: "/",
    env: { PATH, UV_THREADPOOL_SIZE: String(Math.max(threads, MIN_POOL_THREADS)) },
    stdio: ["inherit", "inherit", "pipe", "ipc", "pipe", 2],
    serialization: "advanced",
  });
  let complaint = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk.toString("utf8")).slice(0, COMPLAINT_MAX_CHARS);
  });
  child.on("message", (message) => listener.message(message as FromOutpost));
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("close", () => resolve());
  });
  try {
    await opened(child, ended, () => complaint.trim());
    await writeMaps(ownership, child.pid ?? -1);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  void ended.then(() => listener.exited());
  gateOf(child).end("\n");
  return new Running(child, ended);
}

function gateOf(child: ChildProcess): Duplex {
  return child.stdio[GATE_FD] as Duplex;
}

async function opened(child: ChildProcess, ended: Promise<void>, complaint: () => string): Promise<void> {
  const failed = ended.then(() => {
    throw new EngineError("unavailable", `no user namespace can be made: ${complaint() || "unshare(1) failed"}`, {
      hint: namespaceAdvice(),
    });
  });
  await Promise.race([once(gateOf(child), "data"), failed]);
  failed.catch(() => undefined); // its end comes later, and is told by the threads
}

async function writeMaps(ownership: NamespaceOwnership, pid: number): Promise<void> {
  if (ownership.kind === "single") return;
  const { user, uids, gids, programs } = ownership;
  await Promise.all([
    writeMap(programs.newuidmap, [pid, ...mapOf(user.uid, uids).flatMap((m) => [m.inside, m.outside, m.count])]),
    writeMap(programs.newgidmap, [pid, ...mapOf(user.gid, gids).flatMap((m) => [m.inside, m.outside, m.count])]),
  ]);
}

function writeMap(program: string, words: readonly number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, words.map(String), { cwd: "/", env: { PATH } }, (error, _, complaint) => {
      if (!error) return resolve();
      const hint =
        "look at /etc/subuid and /etc/subgid, and whether newuidmap and newgidmap are setuid root (chmod u+s)";
      reject(
        new EngineError("denied", `mapping subordinate ids: ${complaint.trim() || messageOf(error)}`, {
          cause: error,
          hint,
        }),
      );
    });
  });
}

class Running implements OutpostProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(child: ChildProcess, ended: Promise<void>) {
    this.#child = child;
    this.#ended = ended;
    child.stderr?.destroy();
  }

  send(message: ToOutpost): void {
    if (this.#child.connected) this.#child.send(message, () => undefined); // its end tells more than a failed message
  }

  hold(): void {
    this.#child.ref();
    this.#child.channel?.ref();
  }

  release(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  async end(): Promise<void> {
    this.hold();
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}
