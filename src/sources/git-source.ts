import fs from "node:fs";
import path from "node:path";
import { type Clock, digestOf, hexOf } from "../base/index.js";
import type { Secrets } from "../session/index.js";
import { authorize, type GitAuthNames, openAgent, type SshSockets } from "./git-auth.js";
import { checkout, type GitTree } from "./git-checkout.js";
import { lockFile, tryLockFile } from "./git-lock.js";
import type { GitProgram } from "./git-program.js";
import { asksRemote, checkRequest, type GitAccess, type GitRequest, type GitTarget, resolveRef } from "./git-remote.js";
import { type GitRepository, openRepository } from "./git-repository.js";

/** A repository that a build names: REQUEST's address may hold credentials. */
export interface GitWanted {
  readonly request: GitRequest;
  readonly auth: GitAuthNames;
}

/** Repositories as one build sees them: what a ref stands for is asked once. */
export interface GitCheckouts {
  /** See `resolveRef`. */
  resolve(wanted: GitWanted, options: GitOptions): Promise<GitTarget>;
  /** Writes the files of TARGET into the empty DIRECTORY, or where the result says; the caller disposes of that. */
  checkout(wanted: GitWanted, target: GitTarget, directory: string, options: GitOptions): Promise<GitTree>;
  /** When the commit was made that WANTED comes to, in seconds since the epoch. */
  commitTime(wanted: GitWanted, options: GitOptions): Promise<number>;
}

export type GitOptions = Pick<GitAccess, "signal" | "onLog">;

/** The repositories of this state directory: what was fetched from a remote is shared by all builds. */
export interface GitSource {
  /** The repositories for one build, to which the caller lends what opens them. TEMPORARY gives paths that nobody else has. */
  open(lent: GitLent): GitCheckouts;
  /** Removes what was fetched from one remote; false if somebody uses it. */
  remove(id: string): boolean;
  list(): readonly { readonly id: string; readonly sizeBytes: number; readonly usedAt: number }[];
}

export interface GitLent {
  readonly secrets: Secrets;
  readonly ssh: SshSockets;
  readonly temporary: (kind: string) => string;
}

export interface GitSourceOptions {
  readonly git: GitProgram;
  /** `<id>/repository` and `<id>.lock`. */
  readonly directory: string;
  readonly clock: Clock;
}

/** Remotes of which objects are kept; those longest unused go. */
const REPOSITORIES_MAX = 64;
const REPOSITORY = "repository";
const LOCK_SUFFIX = ".lock";

export function createGitSource(options: GitSourceOptions): GitSource {
  const { directory } = options;
  return {
    open: (lent) => new Checkouts(options, lent),
    remove: (id) => remove(directory, id),
    list: () => list(directory),
  };
}

class Checkouts implements GitCheckouts {
  readonly #options: GitSourceOptions;
  readonly #lent: GitLent;
  readonly #targets = new Map<string, Promise<GitTarget>>();

  constructor(options: GitSourceOptions, lent: GitLent) {
    this.#options = options;
    this.#lent = lent;
  }

  resolve(wanted: GitWanted, options: GitOptions): Promise<GitTarget> {
    const { remote, ref, checksum, fetchByCommit } = wanted.request;
    const question = JSON.stringify([remote, ref, checksum, fetchByCommit]);
    const known = this.#targets.get(question);
    if (known !== undefined) return known;
    const answer = this.#resolve(wanted, options);
    this.#targets.set(question, answer);
    return answer;
  }

  async #resolve(wanted: GitWanted, options: GitOptions): Promise<GitTarget> {
    checkRequest(wanted.request);
    const { request, config } = await this.#authorized(wanted, options);
    if (!asksRemote(request)) return resolveRef(this.#options.git, request, { ...options, cwd: "/" });
    await using agent = await openAgent(wanted.auth, this.#lent.ssh, this.#lent.temporary);
    return await resolveRef(this.#options.git, request, { ...options, config, sshSocket: agent?.path, cwd: "/" });
  }

  checkout(wanted: GitWanted, target: GitTarget, into: string, options: GitOptions): Promise<GitTree> {
    return this.#fetched({ wanted, target }, options, (repository, request, access) => {
      const temporary = this.#lent.temporary("git");
      const place = { directory: into, temporary };
      return checkout(this.#options.git, repository, { request, target }, place, access);
    });
  }

  async commitTime(wanted: GitWanted, options: GitOptions): Promise<number> {
    const target = await this.resolve(wanted, options);
    return this.#fetched({ wanted, target }, options, (repository) => repository.commitTime(target, options));
  }

  /** Does WORK while the repository is there, has TARGET, and is nobody else's. */
  async #fetched<T>(
    { wanted, target }: { readonly wanted: GitWanted; readonly target: GitTarget },
    options: GitOptions,
    work: (repository: GitRepository, request: GitRequest, access: GitAccess) => Promise<T>,
  ): Promise<T> {
    const { git, directory, clock } = this.#options;
    const { request, config } = await this.#authorized(wanted, options);
    const format = target.object.length === 64 ? "sha256" : "sha1";
    const id = hexOf(digestOf(`git-1\0${format}\0${wanted.request.remote}`));
    const home = path.join(directory, id);
    using _ = await lockFile(home + LOCK_SUFFIX, options);
    if (!fs.existsSync(home)) makeRoom(directory);
    fs.mkdirSync(home, { recursive: true, mode: 0o700 });
    const usedAt = new Date(clock.now());
    fs.utimesSync(home, usedAt, usedAt);
    const place = { directory: path.join(home, REPOSITORY), remote: request.remote, format } as const;
    const repository = await openRepository(git, place, options);
    await using agent = await openAgent(wanted.auth, this.#lent.ssh, this.#lent.temporary);
    const access = { ...options, config, sshSocket: agent?.path };
    await repository.fetch(target, { access, byCommit: request.fetchByCommit });
    return await work(repository, request, access);
  }

  async #authorized({ request, auth }: GitWanted, options: GitOptions) {
    const { remote, config } = await authorize(request.remote, auth, this.#lent.secrets, options);
    return { request: { ...request, remote }, config };
  }
}

function list(
  directory: string,
): readonly { readonly id: string; readonly sizeBytes: number; readonly usedAt: number }[] {
  const names = fs.existsSync(directory) ? fs.readdirSync(directory) : [];
  const ids = names.filter((name) => /^[0-9a-f]{64}$/.test(name));
  return ids.map((id) => {
    const home = path.join(directory, id);
    return { id, sizeBytes: sizeOf(home), usedAt: fs.statSync(home).mtimeMs };
  });
}

function sizeOf(directory: string): number {
  let total = 0;
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: "utf8" }))
    total += fs.lstatSync(path.join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
  return total;
}

/** Removes the repositories that nobody has used for the longest time, so that there may be one more. */
function makeRoom(directory: string): void {
  const ids = fs.readdirSync(directory).filter((name) => /^[0-9a-f]{64}$/.test(name));
  if (ids.length < REPOSITORIES_MAX) return;
  const used = ids.map((id) => ({ id, usedAt: fs.statSync(path.join(directory, id)).mtimeMs }));
  const oldest = used.sort((a, b) => a.usedAt - b.usedAt).slice(0, ids.length - REPOSITORIES_MAX + 1);
  for (const { id } of oldest) remove(directory, id);
}

/** False if somebody uses it. */
function remove(directory: string, id: string): boolean {
  const file = path.join(directory, id) + LOCK_SUFFIX;
  using lock = tryLockFile(file);
  if (lock === undefined) return false;
  fs.rmSync(path.join(directory, id), { recursive: true, force: true });
  fs.rmSync(file, { force: true });
  return true;
}
