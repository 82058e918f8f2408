import fs from "node:fs";
import path from "node:path";
import { EngineError, errorCode, systemCode } from "../base/index.js";
import { GitFailure, type GitProgram } from "./git-program.js";
import { type GitAccess, type GitTarget, isObjectId, remoteError } from "./git-remote.js";

/** A bare repository that holds what was fetched from one remote so far. Whoever uses it has its lock. */
export interface GitRepository {
  readonly directory: string;
  /** Makes TARGET's object, and all that a checkout of it needs, present. Asks the remote only for what is missing. */
  fetch(target: GitTarget, options: FetchOptions): Promise<void>;
  /** When TARGET's commit, which is there, was made: seconds since the epoch. `invalid` for a time that can't be. */
  commitTime(target: GitTarget, options: Pick<GitAccess, "signal">): Promise<number>;
}

export interface FetchOptions {
  readonly access: GitAccess;
  /** The server is to be asked for that commit and nothing else. */
  readonly byCommit: boolean;
}

/** Where fetched objects are kept from being collected, each under its id. */
export const KEPT_REFS = "refs/ashlar/";

/** Later than any commit, and within what file systems can hold. Seconds since the epoch. */
const TIME_MAX = 2 ** 33;

/** Opens DIRECTORY, which is made where it is missing, for REMOTE. */
export async function openRepository(
  git: GitProgram,
  {
    directory,
    remote,
    format,
  }: { readonly directory: string; readonly remote: string; readonly format: "sha1" | "sha256" },
  options: Pick<GitAccess, "signal">,
): Promise<GitRepository> {
  const repository = new BareRepository(git, directory, remote, format);
  await repository.open(options);
  return repository;
}

class BareRepository implements GitRepository {
  readonly directory: string;
  readonly #git: GitProgram;
  readonly #remote: string;
  readonly #format: "sha1" | "sha256";

  constructor(git: GitProgram, directory: string, remote: string, format: "sha1" | "sha256") {
    this.#git = git;
    this.directory = directory;
    this.#remote = remote;
    this.#format = format;
  }

  /** Made under another name, so that half of one is never taken for one. */
  async open(options: Pick<GitAccess, "signal">): Promise<void> {
    if (fs.existsSync(path.join(this.directory, "HEAD"))) return;
    const fresh = `${this.directory}.new`;
    fs.rmSync(fresh, { recursive: true, force: true });
    fs.rmSync(this.directory, { recursive: true, force: true });
    fs.mkdirSync(fresh, { recursive: true, mode: 0o700 });
    const args = ["init", "--quiet", "--bare", "--template=", `--object-format=${this.#format}`];
    await this.#git.run({ ...options, args, cwd: fresh, gitDir: fresh, transport: "none" });
    fs.renameSync(fresh, this.directory);
  }

  async fetch(target: GitTarget, options: FetchOptions): Promise<void> {
    const { object } = target;
    const { signal } = options.access;
    if (this.#isKept(object)) return;
    if (!(await this.#has(object, { signal }))) {
      await this.#fetchOrBegin(target, options);
      if (this.#isKept(object)) return;
      if (!(await this.#has(object, { signal }))) throw moved(target);
    }
    const args = ["update-ref", KEPT_REFS + object, object];
    await this.#git.run({ args, cwd: this.directory, gitDir: this.directory, transport: "none", signal });
  }

  /** What was fetched earlier may be damaged, or in the way of what the remote has now: then it is thrown away. */
  async #fetchOrBegin(target: GitTarget, options: FetchOptions): Promise<void> {
    try {
      await this.#fetch(target, options);
    } catch (error) {
      if (!(error instanceof GitFailure) || errorCode(remoteError(error, this.#remote)) !== "failed")
        throw remoteError(error, this.#remote);
      fs.rmSync(this.directory, { recursive: true, force: true });
      await this.open(options.access);
      await this.#fetch(target, options).catch((again: unknown) => Promise.reject(remoteError(again, this.#remote)));
    }
  }

  async #fetch(target: GitTarget, { access, byCommit }: FetchOptions): Promise<void> {
    // Nobody else has this repository: a lock in it was left by a process that was killed.
    for (const lock of ["shallow.lock", "packed-refs.lock", "config.lock"])
      fs.rmSync(path.join(this.directory, lock), { force: true });
    if (!isObjectId(target.ref) && !byCommit) {
      await this.#shallow([`+${target.ref}:${KEPT_REFS}${target.object}`], access);
      // Else the ref was moved after it was looked up; what it stood for may still be had.
      if (this.#isKept(target.object)) return;
    }
    await this.#fetchObject(target.object, access, byCommit);
  }

  /** Not every server gives a commit by its id; then everything is fetched that it may be part of. */
  async #fetchObject(object: string, access: GitAccess, only: boolean): Promise<void> {
    try {
      await this.#shallow([`+${object}:${KEPT_REFS}${object}`], access);
      return;
    } catch (error) {
      if (only || !(error instanceof GitFailure) || !isRefused(error)) throw error;
    }
    const isShallow = fs.existsSync(path.join(this.directory, "shallow"));
    const refs = [`+refs/heads/*:${KEPT_REFS}heads/*`, `+refs/tags/*:${KEPT_REFS}tags/*`];
    await this.#run(["fetch", "--no-tags", ...(isShallow ? ["--unshallow"] : []), "--", this.#remote, ...refs], access);
  }

  /** Without the history, if the server can leave it out. */
  async #shallow(refs: readonly string[], access: GitAccess): Promise<void> {
    const end = ["--no-tags", "--", this.#remote, ...refs];
    try {
      await this.#run(["fetch", "--depth=1", ...end], access);
    } catch (error) {
      if (!(error instanceof GitFailure) || !/--depth|shallow/.test(error.stderr)) throw error;
      await this.#run(["fetch", ...end], access);
    }
  }

  async #run(args: readonly string[], access: GitAccess): Promise<string> {
    return this.#git.run({ ...access, args, cwd: this.directory, gitDir: this.directory, transport: "network" });
  }

  /** Whether the object is here, with all files of the commit that it is or names. */
  async #has(object: string, { signal }: Pick<GitAccess, "signal">): Promise<boolean> {
    const args = ["rev-list", "--objects", "--no-walk", "--quiet", `${object}^{tree}`];
    try {
      await this.#git.run({ args, cwd: this.directory, gitDir: this.directory, transport: "none", signal });
      return true;
    } catch (error) {
      if (error instanceof GitFailure) return false;
      throw error;
    }
  }

  async commitTime({ object }: GitTarget, { signal }: Pick<GitAccess, "signal">): Promise<number> {
    const args = ["show", "--no-patch", "--format=%ct", `${object}^{commit}`];
    const text = await this.#git.run({ args, cwd: this.directory, gitDir: this.directory, transport: "none", signal });
    if (/^\d+\s*$/.test(text) && Number(text) <= TIME_MAX) return Number(text);
    throw new EngineError("invalid", `failed to parse commit timestamp ${JSON.stringify(text.trim())}`);
  }

  /** Whether the object was fetched as a whole: then a ref of its name leads to it. */
  #isKept(object: string): boolean {
    try {
      return fs.readFileSync(path.join(this.directory, KEPT_REFS, object), "utf8").trim() === object;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return false;
      throw error;
    }
  }
}

function moved({ ref, object }: GitTarget): EngineError {
  const message = `fetched ref ${ref} does not match expected commit ${object} and commit can not be found in the repository`;
  return new EngineError(isObjectId(ref) ? "not-found" : "changed", message);
}

function isRefused({ stderr }: GitFailure): boolean {
  return /not our ref|unadvertised object|couldn't find remote ref|Could not read|unable to find|Cannot obtain needed/i.test(
    stderr,
  );
}
