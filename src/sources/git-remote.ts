import { type AbortOptions, EngineError } from "../base/index.js";
import { type GitCommand, GitFailure, type GitProgram } from "./git-program.js";

/** What of a repository is wanted, as a source of the graph says it. */
export interface GitRequest {
  /** The address of the repository, without credentials. */
  readonly remote: string;
  /** A branch, tag, full name of a ref, or a whole commit id; empty is the default branch. */
  readonly ref: string;
  /** The beginning of the commit id that must come out; undefined for any. */
  readonly checksum: string | undefined;
  /** The commit `checksum` is wanted, whatever the ref stands for by now. */
  readonly fetchByCommit: boolean;
  /** A directory of the repository, `/` between names; empty is all of it. */
  readonly subdirectory: string;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  readonly mtime: "checkout" | "commit";
}

/** What a ref stands for. */
export interface GitTarget {
  /** The full name of the ref, or the commit id where that was asked for. */
  readonly ref: string;
  /** The object: a commit, or the tag that names one. */
  readonly object: string;
  /** Of an annotated tag: the commit, where the server tells. */
  readonly commit: string | undefined;
}

/** How the repository is reached. */
export type GitAccess = Pick<GitCommand, "config" | "sshSocket" | "onLog"> & AbortOptions;

/** Whether TEXT is a whole id of an object: SHA-1 or SHA-256 in small hex digits. */
export function isObjectId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/** Whether the remote has to be asked what REQUEST's ref stands for. */
export function asksRemote({ ref, fetchByCommit }: GitRequest): boolean {
  return !isObjectId(ref) && !fetchByCommit;
}

/**
 * What REQUEST's ref stands for. The repository is not asked about a whole commit id. Errors: `invalid` for a ref or checksum that is
 * none, or a checksum that does not match; `not-found`, `denied`, `unavailable`, `failed`.
 */
export async function resolveRef(
  git: GitProgram,
  request: GitRequest,
  access: GitAccess & { readonly cwd: string },
): Promise<GitTarget> {
  const { ref, checksum } = request;
  checkRequest(request);
  if (isObjectId(ref)) {
    if (checksum !== undefined && !ref.startsWith(checksum)) throw checksumMismatch(checksum, ref);
    return { ref, object: ref, commit: undefined };
  }
  if (request.fetchByCommit) return pinned(request);
  const target = await ask(git, request, access);
  const { object, commit } = target;
  if (checksum !== undefined && !object.startsWith(checksum) && !commit?.startsWith(checksum))
    throw checksumMismatch(checksum, commit === undefined ? object : `${object} or ${commit}`);
  return target;
}

/** Refuses what git could take for an option or a pattern, and what is no part of a commit id. */
export function checkRequest({ remote, ref, checksum }: GitRequest): void {
  if (remote.startsWith("-") || /[\p{Cc}]/u.test(remote)) throw new EngineError("invalid", "invalid git address");
  if (ref.startsWith("-") || FORBIDDEN_IN_REFS.test(ref))
    throw new EngineError("invalid", `invalid git ref ${JSON.stringify(ref)}`);
  if (checksum !== undefined && !/^[0-9a-fA-F]+$/.test(checksum))
    throw new EngineError("invalid", `invalid checksum ${checksum} for Git URL, expected hex commit hash`);
}

/** As git-check-ref-format(1) has it; refs that name a part of another (`@{`, `^`, `:`) are no names either. */
const FORBIDDEN_IN_REFS = /[\p{Cc} ~^:?*[\\]|\.\.|@\{|^\/|\/\/|\/$|\.lock(?:\/|$)|\.$|(?:^|\/)\./u;

function pinned({ ref, checksum = "" }: GitRequest): GitTarget {
  if (checksum === "") throw new EngineError("invalid", "fetch-by-commit requires a checksum or a commit SHA ref");
  if (!isObjectId(checksum)) {
    const message = `fetch-by-commit requires a full commit SHA checksum, got ${JSON.stringify(checksum)}`;
    throw new EngineError("invalid", message);
  }
  const full = ref === "" ? checksum : ref.startsWith("refs/") ? ref : `refs/heads/${ref}`;
  return { ref: full, object: checksum, commit: undefined };
}

function checksumMismatch(checksum: string, found: string): EngineError {
  return new EngineError("invalid", `expected checksum to match ${checksum}, got ${found}`);
}

async function ask(
  git: GitProgram,
  { remote, ref }: GitRequest,
  access: GitAccess & { readonly cwd: string },
): Promise<GitTarget> {
  const wanted = ref === "" ? ["HEAD"] : [ref, `${ref}^{}`];
  const args = ["ls-remote", "--symref", "--", remote, ...wanted];
  try {
    const { onLog: _, ...quiet } = access;
    const refs = parseRefs(await git.run({ ...quiet, args, transport: "network" }));
    return ref === "" ? defaultBranch(refs, remote) : named(refs, ref);
  } catch (error) {
    throw remoteError(error, remote);
  }
}

interface RemoteRefs {
  /** Ids by full names; a tag's commit under `refs/tags/name^{}`. */
  readonly ids: ReadonlyMap<string, string>;
  /** What HEAD is another name of. */
  readonly head: string | undefined;
}

function parseRefs(text: string): RemoteRefs {
  const ids = new Map<string, string>();
  let head: string | undefined;
  for (const line of text.split("\n")) {
    const [left = "", name = ""] = line.split("\t");
    if (left.startsWith("ref: ") && name === "HEAD") head = left.slice("ref: ".length).trim();
    else if (name !== "" && isObjectId(left)) ids.set(name, left);
  }
  return { ids, head };
}

function defaultBranch({ ids, head }: RemoteRefs, remote: string): GitTarget {
  const object = ids.get("HEAD");
  if (object === undefined)
    throw new EngineError("not-found", `could not find default branch for repository: ${remote}`);
  const isBranch = head?.startsWith("refs/heads/") && !FORBIDDEN_IN_REFS.test(head);
  return { ref: isBranch && head !== undefined ? head : object, object, commit: undefined };
}

/** A ref of exactly that name, else a branch, else a tag, as git itself chooses. */
function named({ ids }: RemoteRefs, ref: string): GitTarget {
  const branch = `refs/heads/${ref.replace(/^refs\/heads\//, "")}`;
  const tag = `refs/tags/${ref.replace(/^refs\/tags\//, "")}`;
  const exact = `refs/${ref.replace(/^refs\//, "")}`;
  for (const name of [exact, branch, tag]) {
    const object = ids.get(name);
    if (object !== undefined) return { ref: name, object, commit: name === tag ? ids.get(`${tag}^{}`) : undefined };
  }
  throw new EngineError("not-found", `repository does not contain ref ${ref}`);
}

/** What git said of REMOTE, as an error whose code says what kind it is. */
export function remoteError(error: unknown, remote: string): unknown {
  if (!(error instanceof GitFailure)) return error;
  const message = `failed to fetch remote ${remote}: ${error.message}`;
  const { stderr } = error;
  if (
    /Authentication failed|could not read (?:Username|Password)|returned error: 40[13]|Permission denied/.test(stderr)
  ) {
    const hint = remote.startsWith("http")
      ? "lend the build a token: --secret id=GIT_AUTH_TOKEN,env=GIT_AUTH_TOKEN"
      : "lend the build an agent that has a key for it: --ssh default";
    return new EngineError("denied", message, { cause: error, hint });
  }
  if (/Host key verification failed/.test(stderr)) {
    const hint =
      "if the host was given another key on purpose, remove its old one from git/known_hosts in the state directory";
    return new EngineError("denied", message, { cause: error, hint });
  }
  if (/returned error: 404|repository '[^']*' not found|does not appear to be a git repository/i.test(stderr))
    return new EngineError("not-found", message, { cause: error });
  if (
    /Could not resolve host|Failed to connect|Connection (?:refused|reset|timed out)|returned error: (?:429|5\d\d)|early EOF|unexpected disconnect/.test(
      stderr,
    )
  )
    return new EngineError("unavailable", message, { cause: error });
  return new EngineError("failed", message, { cause: error });
}
