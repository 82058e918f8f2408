import fs from "node:fs";
import path from "node:path";
import { EngineError, messageOf, systemCode } from "../base/index.js";
import { contextSource } from "../frontend/index.js";
import type { SourceOp } from "../llb/index.js";
import type { RemoteContext } from "./remote-sources.js";
import type { BuildRequest } from "./request.js";
import type { StreamContext } from "./stream-context.js";

/** What a build copies from where nothing else is said. */
export type MainContext =
  /** A directory of the caller's, read in place. */
  | { readonly kind: "directory"; readonly directory: string }
  /** What came on standard input. */
  | { readonly kind: "stream"; readonly stream: StreamContext }
  /** A repository, an archive or a Dockerfile from the network. */
  | { readonly kind: "remote"; readonly remote: RemoteContext };

/** Takes contexts that are no directories. */
export interface ContextOpeners {
  stream(stream: AsyncIterable<Uint8Array>): Promise<StreamContext>;
  remote(op: SourceOp): Promise<RemoteContext>;
}

const KEEP_GIT_DIR_ARG = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";
const EPOCH_ARG = "SOURCE_DATE_EPOCH";

/** Opens the main context of REQUEST: a directory of that name goes before an address. Errors: `not-found`, `invalid`, and those of OPEN. */
export async function openMainContext(
  { context, buildArgs = {} }: Pick<BuildRequest, "context" | "buildArgs">,
  open: ContextOpeners,
): Promise<MainContext> {
  if (typeof context !== "string") return { kind: "stream", stream: await open.stream(context.stdin) };
  const options = {
    keepGitDir: /^(1|t|T|TRUE|true|True)$/.test(buildArgs[KEEP_GIT_DIR_ARG] ?? ""),
    commitTimes: (buildArgs[EPOCH_ARG] ?? "") !== "",
  };
  const op = isDirectory(context) ? undefined : contextSource(withProtocol(context), options);
  if (op !== undefined) return { kind: "remote", remote: await open.remote(op) };
  return { kind: "directory", directory: contextDirectory(context) };
}

/** `github.com/owner/name` means the repository there, by old custom. */
function withProtocol(address: string): string {
  if (!address.startsWith("github.com/")) return address;
  const [, place = "", rest = ""] = /^([^?#]*)(.*)$/s.exec(address) ?? [];
  return `https://${place.endsWith(".git") ? place : `${place.replace(/\/+$/, "")}.git`}${rest}`;
}

function isDirectory(context: string): boolean {
  return fs.statSync(path.resolve(context), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function contextDirectory(context: string): string {
  const directory = path.resolve(context);
  let stat: fs.Stats;
  try {
    stat = fs.statSync(directory);
  } catch (error) {
    if (systemCode(error) === "ENOENT")
      throw new EngineError("not-found", `unable to prepare context: path ${JSON.stringify(context)} not found`);
    throw new EngineError("invalid", `unable to prepare context: ${messageOf(error)}`, { cause: error });
  }
  if (!stat.isDirectory())
    throw new EngineError("invalid", `unable to prepare context: ${JSON.stringify(context)} is not a directory`);
  return directory;
}
