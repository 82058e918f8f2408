import fs from "node:fs";
import path from "node:path";
import { EngineError, messageOf, systemCode } from "../base/index.js";
import type { NamedContext } from "../frontend/index.js";
import type { BuildRequest } from "./request.js";
import type { StreamContext } from "./stream-context.js";

/** What a build reads: its Dockerfile, its ignore file, and the directories behind its local sources. */
export interface BuildInputs {
  readonly dockerfile: { readonly name: string; readonly text: string };
  readonly dockerignore: { readonly name: string; readonly text: string } | undefined;
  /** Local sources by name; the main one is `context`. */
  readonly directories: ReadonlyMap<string, string>;
  readonly contexts: ReadonlyMap<string, NamedContext>;
}

/** A Dockerfile or an ignore file larger than this is refused. */
const DOCKERFILE_MAX_BYTES = 64 << 20;
const MAIN_CONTEXT = "context";
const DEFAULT_NAME = "Dockerfile";

/** Takes a context that comes as a stream. */
type OpenStream = (stream: AsyncIterable<Uint8Array>) => Promise<StreamContext>;

/** Finds and reads what REQUEST names. OPEN takes a context that comes as a stream. Throws `not-found` or `invalid` with the name as it was given. */
export async function readInputs(request: BuildRequest, open: OpenStream): Promise<BuildInputs> {
  const { contexts, directories } = namedContexts(request.buildContexts ?? {});
  const main =
    typeof request.context === "string"
      ? { directory: contextDirectory(request.context), remote: false }
      : await open(request.context.stdin);
  if (main.directory !== undefined) directories.set(MAIN_CONTEXT, main.directory);
  const dockerfile = readDockerfile(request, main);
  const dockerignore = main.remote ? undefined : readIgnoreFile(dockerfile.path, main.directory);
  return { dockerfile, dockerignore, directories, contexts };
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

interface FoundDockerfile {
  readonly name: string;
  readonly text: string;
  /** Where it was read; undefined for a text. */
  readonly path: string | undefined;
}

function readDockerfile({ dockerfile, dockerfileText }: BuildRequest, main: StreamContext): FoundDockerfile {
  if (dockerfileText !== undefined) return { name: dockerfile ?? DEFAULT_NAME, text: dockerfileText, path: undefined };
  if (main.dockerfileText !== undefined) return { name: DEFAULT_NAME, text: main.dockerfileText, path: undefined };
  if (main.directory === undefined)
    throw new EngineError("invalid", "there is no Dockerfile: standard input held neither one nor a tar archive");
  const file =
    dockerfile === undefined
      ? path.join(main.directory, DEFAULT_NAME)
      : main.remote
        ? path.join(main.directory, dockerfile)
        : path.resolve(dockerfile);
  const lower = path.join(path.dirname(file), DEFAULT_NAME.toLowerCase());
  for (const candidate of path.basename(file) === DEFAULT_NAME ? [file, lower] : [file]) {
    const text = readText(candidate, main.remote ? main.directory : undefined);
    if (text !== undefined) return { name: path.basename(candidate), text, path: candidate };
  }
  throw new EngineError(
    "not-found",
    `failed to read dockerfile: open ${dockerfile ?? path.basename(file)}: no such file or directory`,
    {
      hint: "name the Dockerfile with -f; a relative path starts from the current directory, not from the context",
    },
  );
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
    const { size } = fs.statSync(file);
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
  if (/^(https?|git|ssh)$/.test(scheme) && value.includes("://")) {
    throw new EngineError("unsupported", `build context ${name}: ${scheme} contexts are not supported yet`);
  }
  const directory = path.resolve(value);
  if (!fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new EngineError(
      "not-found",
      `failed to get build context path {${value} <nil>}: stat ${value}: no such file or directory`,
    );
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
