import fs from "node:fs";
import path from "node:path";
import { EngineError, messageOf, systemCode } from "../base/index.js";
import { contextSource, DOWNLOADED_CONTEXT, type NamedContext, type SourceContext } from "../frontend/index.js";
import type { MainContext } from "./main-context.js";
import type { RemoteContext, RemoteSources } from "./remote-sources.js";
import type { BuildRequest } from "./request.js";

/** What a build reads: its Dockerfile, its ignore file, and the directories behind its local sources. */
export interface BuildInputs {
  /** `path`: where it was read, if it is a file of this machine. */
  readonly dockerfile: { readonly name: string; readonly text: string; readonly path: string | undefined };
  readonly dockerignore: { readonly name: string; readonly text: string } | undefined;
  /** Local sources by name; the main one is `context`. */
  readonly directories: ReadonlyMap<string, string>;
  /** Where the main context comes from the network. */
  readonly mainContext: SourceContext | undefined;
  readonly contexts: ReadonlyMap<string, NamedContext>;
}

/** A Dockerfile or an ignore file larger than this is refused. */
const DOCKERFILE_MAX_BYTES = 64 << 20;
export const MAIN_CONTEXT = "context";
const DEFAULT_NAME = "Dockerfile";

/**
 * Finds and reads what REQUEST names. The ignore file counts only for a directory of the caller's. Throws `not-found` or `invalid` with
 * the name as it was given, and what OPEN throws of a Dockerfile at an address.
 */
export async function readInputs(
  request: BuildRequest,
  main: MainContext,
  open: RemoteSources["open"],
): Promise<BuildInputs> {
  const { contexts, directories } = namedContexts(request.buildContexts ?? {});
  const directory = directoryOf(main);
  if (directory !== undefined) directories.set(MAIN_CONTEXT, directory);
  const dockerfile = await readDockerfile(request, main, open);
  const dockerignore = main.kind === "directory" ? readIgnoreFile(dockerfile.path, directory) : undefined;
  const mainContext = main.kind === "remote" ? main.remote.context : undefined;
  return { dockerfile, dockerignore, directories, mainContext, contexts };
}

function directoryOf(main: MainContext): string | undefined {
  switch (main.kind) {
    case "directory":
      return main.directory;
    case "stream":
      return main.stream.directory;
    case "remote":
      return undefined;
  }
}

interface FoundDockerfile {
  readonly name: string;
  readonly text: string;
  /** Where it was read; undefined for a text. */
  readonly path: string | undefined;
}

async function readDockerfile(
  { dockerfile, dockerfileText }: BuildRequest,
  main: MainContext,
  open: RemoteSources["open"],
): Promise<FoundDockerfile> {
  if (dockerfileText !== undefined) {
    const name = dockerfile === undefined || dockerfile === "-" ? DEFAULT_NAME : dockerfile;
    return { name, text: dockerfileText, path: undefined };
  }
  if (dockerfile !== undefined && /^https?:\/\//.test(dockerfile)) return downloadDockerfile(dockerfile, open);
  switch (main.kind) {
    case "directory":
      return readFirst(dockerfile ?? path.join(main.directory, DEFAULT_NAME), dockerfile);
    case "stream": {
      const { directory, dockerfileText: text } = main.stream;
      if (text !== undefined) return { name: DEFAULT_NAME, text, path: undefined };
      if (directory === undefined)
        throw new EngineError("invalid", "there is no Dockerfile: standard input held neither one nor a tar archive");
      return readFirst(path.join(directory, dockerfile ?? DEFAULT_NAME), dockerfile, directory);
    }
    case "remote":
      if (dockerfile !== undefined && path.isAbsolute(dockerfile)) return readFirst(dockerfile, dockerfile);
      return readRemoteDockerfile(main.remote, dockerfile);
  }
}

async function downloadDockerfile(url: string, open: RemoteSources["open"]): Promise<FoundDockerfile> {
  const op = contextSource(url);
  const remote = op && !op.identifier.startsWith("git:") ? await open(op) : undefined;
  if (!remote?.isFile) throw new EngineError("invalid", `there is no Dockerfile at ${url}`);
  const { text } = await readRemoteDockerfile(remote, undefined);
  return { name: path.posix.basename(new URL(url).pathname) || DEFAULT_NAME, text, path: undefined };
}

/** A context that is one downloaded file is the Dockerfile, whatever name was asked for. */
async function readRemoteDockerfile(remote: RemoteContext, dockerfile: string | undefined): Promise<FoundDockerfile> {
  const wanted = remote.isFile ? DOWNLOADED_CONTEXT : (dockerfile ?? DEFAULT_NAME);
  for (const file of alternatives(wanted)) {
    const bytes = await remote.read(file, DOCKERFILE_MAX_BYTES);
    const name = remote.isFile ? DEFAULT_NAME : path.posix.basename(file);
    if (bytes !== undefined) return { name, text: Buffer.from(bytes).toString("utf8"), path: undefined };
  }
  throw noDockerfile(wanted, "a relative path starts from the root of what the context's address gives");
}

/** The file, or the one by another name that may stand for it. WITHIN: a directory of a stranger's, which no link may lead out of. */
function readFirst(file: string, asked: string | undefined, within?: string): FoundDockerfile {
  for (const candidate of alternatives(within === undefined ? path.resolve(file) : file)) {
    const text = readText(candidate, within);
    if (text !== undefined) return { name: path.basename(candidate), text, path: candidate };
  }
  const hint =
    within === undefined
      ? "name the Dockerfile with -f; a relative path starts from the current directory, not from the context"
      : "the archive on standard input has no such file; what -f names is looked up there, from its root";
  throw noDockerfile(asked ?? path.basename(file), hint);
}

/** A Dockerfile may be spelled in small letters. */
function alternatives(file: string): readonly string[] {
  if (path.basename(file) !== DEFAULT_NAME) return [file];
  return [file, path.join(path.dirname(file), DEFAULT_NAME.toLowerCase())];
}

function noDockerfile(name: string, hint: string): EngineError {
  return new EngineError("not-found", `failed to read dockerfile: open ${name}: no such file or directory`, { hint });
}

function readIgnoreFile(dockerfile: string | undefined, directory: string | undefined): BuildInputs["dockerignore"] {
  const own = dockerfile && `${dockerfile}.dockerignore`;
  const common = directory && path.join(directory, ".dockerignore");
  for (const file of [own, common]) {
    const text = file && readText(file);
    if (file && text !== undefined) return { name: path.basename(file), text };
  }
  return undefined;
}

/** The text of a file that the caller named; undefined if there is none. WITHIN: a directory of a stranger's, which no link may lead out of. */
function readText(file: string, within?: string): string | undefined {
  try {
    if (within !== undefined && !`${fs.realpathSync(file)}/`.startsWith(`${fs.realpathSync(within)}/`))
      return undefined;
    const stat = fs.statSync(file);
    const { size } = stat;
    // A pipe that is open already has a writer (`-f <(…)`, `-f /dev/stdin`); to open one by its name could wait for ever.
    if (!stat.isFile() && !stat.isDirectory() && !(stat.isFIFO() && /^\/(dev|proc)\//.test(file)))
      throw new EngineError("invalid", `${file} is not a regular file`);
    if (size > DOCKERFILE_MAX_BYTES)
      throw new EngineError("invalid", `${file} is too large: ${size} bytes of at most ${DOCKERFILE_MAX_BYTES}`);
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "EISDIR") throw new EngineError("invalid", `${file} is a directory, not a file`);
    if (error instanceof EngineError) throw error;
    throw new EngineError("denied", `reading ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function namedContexts(given: Readonly<Record<string, string>>): {
  readonly contexts: Map<string, NamedContext>;
  readonly directories: Map<string, string>;
} {
  const contexts = new Map<string, NamedContext>();
  const directories = new Map<string, string>();
  for (const [name, value] of Object.entries(given)) contexts.set(name, namedContext(name, value, directories));
  return { contexts, directories };
}

function namedContext(name: string, value: string, directories: Map<string, string>): NamedContext {
  const [, scheme = "", rest = ""] = /^([a-z][a-z-]*):(?:\/\/)?(.*)$/.exec(value) ?? [];
  if (scheme === "docker-image") return { kind: "image", reference: rest };
  if (scheme === "oci-layout") return { kind: "layout", identifier: layoutIdentifier(rest) };
  if (scheme === "target") return { kind: "target", stage: rest };
  const op = contextSource(value);
  if (op !== undefined) return { kind: "source", op };
  const directory = path.resolve(value);
  if (!fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new EngineError("not-found", `failed to get build context ${name}: stat ${value}: no such file or directory`);
  }
  directories.set(name, directory);
  return { kind: "local", name };
}

/** `DIR[:tag][@digest]` with an absolute directory. */
function layoutIdentifier(text: string): string {
  const [, directory = text, suffix = ""] =
    /^(.*?)((?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@sha256:[0-9a-f]{64})?)$/.exec(text) ?? [];
  return `oci-layout://${path.resolve(directory)}${suffix}`;
}
