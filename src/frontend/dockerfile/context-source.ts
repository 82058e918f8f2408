import type { OpMetadata, SourceOp } from "../../llb/index.js";
import { gitSourceOp, parseGitSource } from "./git-source.js";
import { httpSource, isHttpAddress } from "./http-source.js";

/** The name that a file downloaded as a context has. */
export const DOWNLOADED_CONTEXT = "context";

/** How a context from a repository is taken. */
export interface ContextSourceOptions {
  /** BUILDKIT_CONTEXT_KEEP_GIT_DIR. */
  readonly keepGitDir: boolean;
  /** Whether files have the time of their commit: a build whose times are fixed wants that. */
  readonly commitTimes: boolean;
}

/**
 * The source of a context given as an address: of a git repository (`https://….git#ref:subdir`, `git@host:path`, …), or of a file to
 * download, which is then named `context`. Undefined for what is no address. Throws `invalid` for a repository's query that means nothing.
 */
export function contextSource(
  address: string,
  { keepGitDir, commitTimes }: ContextSourceOptions = { keepGitDir: false, commitTimes: false },
): SourceOp | undefined {
  const git = parseGitSource(address);
  if (git !== undefined) {
    const mtime = git.mtime ?? (commitTimes ? "commit" : undefined);
    const flags = { keepGitDir: keepGitDir || git.keepGitDir, checksum: undefined, mtime };
    return gitSourceOp({ ...git, keepGitDir: undefined }, flags);
  }
  if (!isHttpAddress(address)) return undefined;
  const { op } = httpSource(address, undefined);
  return { ...op, attrs: { ...op.attrs, "http.filename": DOWNLOADED_CONTEXT } };
}

/** How the source of the main context is shown. */
export function mainContextMetadata({ identifier }: SourceOp): OpMetadata {
  const isGit = identifier.startsWith("git://");
  return { name: isGit ? `[internal] load git source ${identifier}` : "[internal] load remote build context" };
}

/** How the source of the named context NAME is shown. */
export function contextMetadata(name: string, { identifier }: SourceOp): OpMetadata {
  return { name: `[context ${name}] ${identifier}` };
}
