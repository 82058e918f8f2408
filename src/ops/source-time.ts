import type { SourceOp } from "../llb/index.js";
import type { OpEnvironment } from "./environment.js";
import { gitWanted } from "./source-git.js";

/**
 * When what a source from the network gives was made, in seconds since the epoch: a repository by its commit, a download by what the
 * server says. Undefined where nothing tells, as of a download that is known by its digest alone. Errors: as of the source.
 */
export async function sourceTime(
  op: SourceOp,
  { git, downloads }: OpEnvironment,
  options: { readonly signal: AbortSignal },
): Promise<number | undefined> {
  if (op.identifier.startsWith("git://")) return git.commitTime(gitWanted(op), options);
  if (!/^https?:\/\//.test(op.identifier) || op.attrs["http.checksum"] !== undefined) return undefined;
  return (await downloads.look(op.identifier, options)).lastModified;
}
