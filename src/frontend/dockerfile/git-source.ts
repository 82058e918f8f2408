import { EngineError } from "../../base/index.js";
import type { SourceOp } from "../../llb/index.js";
import { rooted } from "./paths.js";

/** A repository as ADD names it: its address, and what of it is wanted. */
export interface GitSource {
  /** The address for git, without query and fragment. */
  readonly remote: string;
  /** Host and path, the same for every protocol. */
  readonly location: string;
  readonly isSsh: boolean;
  /** A branch, tag or commit; empty is the default branch. */
  readonly ref: string;
  readonly subdirectory: string;
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean;
  readonly fetchByCommit: boolean;
  /** What the times of files are; undefined is that of the checkout. Only contexts heed it. */
  readonly mtime: "checkout" | "commit" | undefined;
}

/**
 * Reads a git address: `https://….git[?query][#ref[:subdir]]`, `git://…`, `ssh://…`, `user@host:path`. Undefined for anything
 * else. Throws `invalid` for an address of git with a query that means nothing.
 */
export function parseGitSource(text: string): GitSource | undefined {
  const address = splitAddress(text);
  if (address === undefined) return undefined;
  const [ref = "", subdirectory = ""] = splitAt(address.fragment, ":");
  const query = readQuery(address.query);
  const checksum = query.get("checksum") ?? query.get("commit");
  const keepGitDir = flag(query, "keep-git-dir");
  return {
    remote: address.remote,
    location: address.host + rooted(address.path),
    isSsh: address.isSsh,
    ref: theRef(ref, query),
    subdirectory: agreed("subdir", rooted(subdirectory).slice(1), query.get("subdir")),
    checksum: checksum || undefined,
    keepGitDir,
    submodules: flag(query, "submodules") ?? true,
    fetchByCommit: flag(query, "fetch-by-commit") ?? false,
    mtime: query.get("mtime") as GitSource["mtime"],
  };
}

/** The source of a repository; `flags` are those of the ADD, which may say the same as the address but nothing else. */
export function gitSourceOp(
  source: GitSource,
  flags: {
    readonly keepGitDir: boolean | undefined;
    readonly checksum: string | undefined;
    readonly mtime?: GitSource["mtime"];
  },
): SourceOp {
  if (flags.keepGitDir !== undefined && source.keepGitDir !== undefined && flags.keepGitDir !== source.keepGitDir) {
    throw invalid("inconsistent keep-git-dir configuration");
  }
  if (flags.checksum && source.checksum && flags.checksum !== source.checksum) {
    throw invalid(`checksum mismatch ${JSON.stringify(flags.checksum)} != ${JSON.stringify(source.checksum)}`);
  }
  const { ref, subdirectory } = source;
  const fragment = `${ref}${subdirectory === "" ? "" : `:${subdirectory}`}`;
  const checksum = source.checksum ?? flags.checksum;
  return {
    kind: "source",
    identifier: `git://${source.location}${fragment === "" ? "" : `#${fragment}`}`,
    attrs: {
      "git.fullurl": source.remote,
      "git.authtokensecret": "GIT_AUTH_TOKEN",
      "git.authheadersecret": "GIT_AUTH_HEADER",
      ...(source.isSsh ? { "git.mountsshsock": "default" } : {}),
      ...((source.keepGitDir ?? flags.keepGitDir) ? { "git.keepgitdir": "true" } : {}),
      ...(checksum ? { "git.checksum": checksum } : {}),
      ...(source.submodules ? {} : { "git.skipsubmodules": "true" }),
      ...(flags.mtime === undefined ? {} : { "git.mtime": flags.mtime }),
      ...(source.fetchByCommit ? { "git.fetchbycommit": "true" } : {}),
    },
  };
}

interface Address {
  readonly remote: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly fragment: string;
  readonly isSsh: boolean;
}

const URL_ADDRESS = /^(https?|git|ssh):\/\/(?:[^/?#@]*@)?([^/?#@]+)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/i;
const SCP_ADDRESS = /^[a-zA-Z0-9_-]+@([a-zA-Z0-9.-]+):([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/;
const QUERY_KEYS = new Set(
  "ref tag branch subdir checksum commit keep-git-dir submodules mtime fetch-by-commit".split(" "),
);
const FLAG_KEYS = new Set(["keep-git-dir", "submodules", "fetch-by-commit"]);
const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

function splitAddress(text: string): Address | undefined {
  const remote = text.replace(/[?#].*$/s, "");
  const url = URL_ADDRESS.exec(text);
  if (url !== null) {
    const [, protocol = "", host = "", written = "", query = "", encoded = ""] = url;
    const isHttp = protocol.toLowerCase().startsWith("http");
    const path = decoded(written);
    const fragment = decoded(encoded);
    if (path === undefined || fragment === undefined || (isHttp && !path.endsWith(".git"))) return undefined;
    return { remote, host, path, query, fragment, isSsh: protocol.toLowerCase() === "ssh" };
  }
  const scp = SCP_ADDRESS.exec(text);
  if (scp === null) return undefined;
  const [, host = "", path = "", query = "", fragment = ""] = scp;
  return { remote, host, path, query, fragment, isSsh: true };
}

function readQuery(query: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (found.has(key)) throw invalid(`query ${JSON.stringify(key)} has multiple values`);
    if (value === "" && !FLAG_KEYS.has(key)) throw invalid(`query ${JSON.stringify(key)} has no value`);
    if (!QUERY_KEYS.has(key)) throw invalid(`unexpected query ${JSON.stringify(key)}`);
    found.set(key, value);
  }
  const mtime = found.get("mtime");
  if (mtime !== undefined && mtime !== "checkout" && mtime !== "commit") {
    throw invalid(`invalid mtime value: ${JSON.stringify(mtime)} (must be "checkout" or "commit")`);
  }
  return found;
}

/** A flag of the query: without a value it is set. */
function flag(query: ReadonlyMap<string, string>, key: string): boolean | undefined {
  const value = query.get(key);
  if (value === undefined) return undefined;
  if (value === "" || TRUE.has(value)) return true;
  if (FALSE.has(value)) return false;
  throw invalid(`invalid ${key} value: ${JSON.stringify(value)}`);
}

function theRef(fragment: string, query: ReadonlyMap<string, string>): string {
  const tag = query.get("tag");
  const branch = query.get("branch");
  if (tag !== undefined && branch !== undefined) throw invalid("branch conflicts with tag");
  const ref = agreed("ref", fragment, query.get("ref"));
  return agreed("ref", agreed("ref", ref, withPrefix("refs/tags/", tag)), withPrefix("refs/heads/", branch));
}

function withPrefix(prefix: string, name: string | undefined): string | undefined {
  return name === undefined || name.startsWith(prefix) ? name : prefix + name;
}

function agreed(what: string, first: string, second: string | undefined): string {
  if (first !== "" && second !== undefined && first !== second) {
    throw invalid(`${what} conflicts: ${JSON.stringify(first)} vs ${JSON.stringify(second)}`);
  }
  return second ?? first;
}

/** TEXT without its percent signs; undefined where they mean nothing. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}
