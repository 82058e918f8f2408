import fs from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { EngineError } from "../base/index.js";
import { GitFailure, type GitProgram } from "./git-program.js";
import { type GitAccess, type GitRequest, type GitTarget, isObjectId, remoteError } from "./git-remote.js";
import { type GitRepository, KEPT_REFS } from "./git-repository.js";

/** What a checkout left, and what is still to be done with it. Disposing of it removes what is not in the layer. */
export interface GitTree extends AsyncDisposable {
  /** The files are there, and only the subdirectory is wanted; absent: they are where they were wanted. */
  readonly from: { readonly directory: string; readonly subdirectory: string } | undefined;
  /** Whether there are `.git` entries that nobody wants. */
  readonly withoutLinks: boolean;
  /** Seconds since the epoch for all files; undefined leaves their times. */
  readonly mtime: number | undefined;
}

export interface CheckoutPlace {
  /** An empty directory for the files. */
  readonly directory: string;
  /** A path for a temporary directory, which nobody else has. */
  readonly temporary: string;
}

/** Writes the files of TARGET, which REPOSITORY has, with those of submodules from their own repositories. */
export async function checkout(
  git: GitProgram,
  repository: GitRepository,
  { request, target }: { readonly request: GitRequest; readonly target: GitTarget },
  { directory, temporary }: CheckoutPlace,
  access: GitAccess,
): Promise<GitTree> {
  const { subdirectory } = request;
  const isWhole = subdirectory === "";
  const worktree = isWhole ? directory : path.join(temporary, "tree");
  const keeps = request.keepGitDir && isWhole;
  const gitDir = keeps ? path.join(worktree, ".git") : path.join(temporary, "git");
  const tree = new Checkout(git, { repository, request, target, worktree, gitDir, access });
  const dispose = () => rm(temporary, { recursive: true, force: true });
  try {
    fs.mkdirSync(temporary, { mode: 0o700 });
    fs.mkdirSync(worktree, { recursive: true, mode: 0o755 });
    await (keeps ? tree.clone() : tree.write());
    if (request.submodules) await tree.submodules();
    const mtime = request.mtime === "commit" ? await repository.commitTime(target, access) : undefined;
    const from = isWhole ? undefined : { directory: worktree, subdirectory };
    return { from, withoutLinks: !keeps, mtime, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

interface CheckoutParts {
  readonly repository: GitRepository;
  readonly request: GitRequest;
  readonly target: GitTarget;
  readonly worktree: string;
  readonly gitDir: string;
  readonly access: GitAccess;
}

class Checkout {
  readonly #git: GitProgram;
  readonly #parts: CheckoutParts;

  constructor(git: GitProgram, parts: CheckoutParts) {
    this.#git = git;
    this.#parts = parts;
  }

  /** The files alone, by way of a repository that borrows its objects. */
  async write(): Promise<void> {
    const { repository, request, target, gitDir } = this.#parts;
    await this.#init();
    const alternates = path.join(gitDir, "objects/info/alternates");
    fs.mkdirSync(path.dirname(alternates), { recursive: true });
    fs.writeFileSync(alternates, `${path.join(repository.directory, "objects")}\n`);
    await this.#local(["read-tree", "--reset", "-u", `${target.object}^{tree}`]);
    // Submodules may be named relative to where this one came from.
    const url = request.remote.replace(/["\\]/g, "\\$&");
    fs.appendFileSync(path.join(gitDir, "config"), `[remote "origin"]\n\turl = "${url}"\n`);
  }

  /** A repository of its own, with the one commit. */
  async clone(): Promise<void> {
    const { repository, request, target, worktree, gitDir } = this.#parts;
    await this.#init();
    await this.#local(["remote", "add", "origin", "--", request.remote]);
    const from = KEPT_REFS + target.object;
    const refspec = isObjectId(target.ref) ? from : `+${from}:${target.ref}`;
    const args = ["fetch", "--quiet", "--update-head-ok", "--no-tags", "--depth=1", "--"];
    const { signal } = this.#parts.access;
    const common = { cwd: worktree, gitDir, workTree: worktree, signal };
    await this.#git.run({ ...common, args: [...args, `file://${repository.directory}`, refspec], transport: "local" });
    await this.#local(["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]);
    await this.#local(["reflog", "expire", "--all", "--expire=now"]);
    fs.rmSync(path.join(gitDir, "FETCH_HEAD"), { force: true });
  }

  async submodules(): Promise<void> {
    const { access, request, worktree, gitDir } = this.#parts;
    if (fs.lstatSync(path.join(worktree, ".gitmodules"), { throwIfNoEntry: false }) === undefined) return;
    const run = (flags: readonly string[]) => {
      const args = ["submodule", "--quiet", "update", "--init", "--recursive", ...flags];
      return this.#git.run({ ...access, args, cwd: worktree, gitDir, workTree: worktree, transport: "network" });
    };
    try {
      await run(["--depth=1"]).catch((error: unknown) => {
        if (error instanceof GitFailure && /--depth|shallow/.test(error.stderr)) return run([]);
        throw error;
      });
    } catch (error) {
      if (!(error instanceof GitFailure)) throw error;
      const { code, message } = remoteError(error, request.remote) as EngineError;
      throw new EngineError(code, message.replace("failed to fetch remote", "failed to update submodules for"), {
        cause: error,
      });
    }
  }

  #init(): Promise<string> {
    const format = this.#parts.target.object.length === 64 ? "sha256" : "sha1";
    return this.#local(["init", "--quiet", "--template=", `--object-format=${format}`]);
  }

  #local(args: readonly string[]): Promise<string> {
    const { worktree, gitDir, access } = this.#parts;
    const { signal } = access;
    return this.#git.run({ args, cwd: worktree, gitDir, workTree: worktree, transport: "none", signal });
  }
}
