import path from "node:path";
import type { BuildRequest, EngineOptions } from "../engine/index.js";
import { parseAllow } from "./allow-flag.js";
import { parseAttestations } from "./attest-flag.js";
import type { BuildFlags } from "./build-flags.js";
import { parseCaches } from "./cache-flag.js";
import { type Call, parseCall } from "./call.js";
import { isAddress, withLentAccess } from "./context-address.js";
import { type OutputTarget, parseOutput, withAnnotations, withPush } from "./output-flag.js";
import { type PlanForm, parsePlan } from "./plan-report.js";
import { parseResources } from "./resource-flags.js";
import { parseSecret } from "./secret-flag.js";
import { parseSign } from "./sign-flag.js";
import { parseSsh } from "./ssh-flag.js";
import { UsageError } from "./usage-error.js";
import {
  parseBytes,
  parseChoice,
  parseCount,
  parseCsv,
  parseExtraHosts,
  parsePairs,
  parseSizeBound,
  parseUlimit,
} from "./values.js";

/** What `ashlar build` was asked to do: argv, read once. */
export interface BuildInvocation {
  readonly context:
    | { readonly kind: "directory"; readonly path: string; readonly shown: string }
    | { readonly kind: "address"; readonly address: string }
    | { readonly kind: "stdin" };
  /** `-f -`: the Dockerfile comes on standard input. */
  readonly dockerfileFromStdin: boolean;
  readonly request: Omit<BuildRequest, "context" | "dockerfileText" | "outputs" | "onProgress" | "signal">;
  /** Undefined: none was asked for. */
  readonly outputs: readonly OutputTarget[] | undefined;
  readonly engine: EngineOptions;
  readonly progress: ProgressMode;
  /** A shell is wanted in the container of a step that fails. */
  readonly shellOnError: boolean;
  /** What is asked instead of building; undefined: nothing. */
  readonly call: Call | undefined;
  /** How it is told what would be done, instead of doing it; undefined: it is done. */
  readonly plan: PlanForm | undefined;
  readonly quiet: boolean;
  readonly iidFile: string | undefined;
  readonly metadataFile: string | undefined;
  /** BUILDX_METADATA_WARNINGS: the metadata file holds the warnings as buildx writes them, too. */
  readonly metadataWarnings: boolean;
  readonly debug: boolean;
}

export type ProgressMode = (typeof PROGRESS_MODES)[number];

/** What the flags mean depends on. */
export interface Ambient {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Proxies that the user's configuration asks for, as build arguments. */
  readonly proxyArgs: Readonly<Record<string, string>>;
  /** The platform `local` stands for. */
  readonly localPlatform: string;
}

/** Reads the flags and the context argument of `ashlar build`. Throws UsageError; reads no file. */
export function parseBuild(flags: BuildFlags, contextPath: string | undefined, ambient: Ambient): BuildInvocation {
  const context = parseContext(contextPath, flags.file, ambient.cwd);
  const quiet = flags.quiet === true;
  const outputs = parseOutputs(flags, ambient.cwd);
  if (quiet && outputs?.some(({ kind }) => kind === "stdout")) {
    throw new UsageError("--quiet prints the image id on standard output, where an output goes already");
  }
  return {
    context,
    dockerfileFromStdin: flags.file === "-",
    request: {
      ...lentTo(context, parseRequest(flags, outputs, ambient), ambient),
      ...parseDockerfile(flags.file, context.kind, ambient.cwd),
    },
    outputs,
    engine: parseEngine(flags, ambient),
    progress: quiet ? "quiet" : parseProgress(flags.progress, ambient.env),
    shellOnError: flags.onError !== undefined && parseChoice(flags.onError, "--on-error", ON_ERROR) === "shell",
    call: callOf(flags),
    plan: planOf(flags),
    quiet,
    iidFile: resolved(flags.iidfile, ambient.cwd),
    metadataFile: resolved(flags.metadataFile, ambient.cwd),
    metadataWarnings: isSet(ambient.env.BUILDX_METADATA_WARNINGS),
    debug: flags.debug === true || isSet(ambient.env.ASHLAR_DEBUG),
  };
}

/** Where the state is and how steps run, from flags and environment. */
export function parseEngine(
  flags: { readonly root?: string; readonly isolation?: string; readonly cacheMaxSize?: string },
  { env, cwd }: Ambient,
): EngineOptions {
  const root = flags.root ?? (env.ASHLAR_ROOT || undefined);
  const isolation = flags.isolation ?? (env.ASHLAR_ISOLATION || undefined);
  const isolationName = flags.isolation === undefined ? "ASHLAR_ISOLATION" : "--isolation";
  const { ASHLAR_RUNTIME: runtime, ASHLAR_SNAPSHOTTER: snapshotter, ASHLAR_NETWORK: network } = env;
  const cacheMaxSize = flags.cacheMaxSize ?? (env.ASHLAR_CACHE_MAX_SIZE || undefined);
  const sizeName = flags.cacheMaxSize === undefined ? "ASHLAR_CACHE_MAX_SIZE" : "--cache-max-size";
  return {
    ...(cacheMaxSize === undefined ? {} : { cacheMaxSize: parseSizeBound(cacheMaxSize, sizeName) }),
    ...(root === undefined ? {} : { root: path.resolve(cwd, root) }),
    ...(isolation === undefined ? {} : { isolation: parseChoice(isolation, isolationName, ["oci", "sandbox"]) }),
    ...(env.ASHLAR_CDI_DIRS ? { cdiDirectories: env.ASHLAR_CDI_DIRS.split(":").filter(path.isAbsolute) } : {}),
    ...(runtime ? { runtime: parseChoice(runtime, "ASHLAR_RUNTIME", ["runc", "crun"]) } : {}),
    ...(network ? { network: parseChoice(network, "ASHLAR_NETWORK", NETWORK_MODES) } : {}),
    ...(snapshotter
      ? { snapshotter: parseChoice(snapshotter, "ASHLAR_SNAPSHOTTER", ["overlay", "fuse-overlayfs", "native"]) }
      : {}),
  };
}

/** Whether an environment variable that switches something on does. */
export function isSet(value: string | undefined): boolean {
  return value !== undefined && !/^(|0|f|false)$/i.test(value);
}

const NETWORK_MODES = ["auto", "veth", "pasta", "slirp4netns", "host"] as const;
const ON_ERROR = ["shell", "fail"] as const;
const PROGRESS_MODES = ["auto", "tty", "plain", "quiet", "none", "rawjson"] as const;

function parseContext(
  contextPath: string | undefined,
  file: string | undefined,
  cwd: string,
): BuildInvocation["context"] {
  if (contextPath === undefined || contextPath === "") {
    throw new UsageError('no build context given: a directory, "." for this one, or "-" for standard input');
  }
  if (contextPath === "-") {
    if (file === "-") throw new UsageError("invalid argument: can't use stdin for both build context and dockerfile");
    return { kind: "stdin" };
  }
  if (isAddress(contextPath)) return { kind: "address", address: contextPath };
  return { kind: "directory", path: path.resolve(cwd, contextPath), shown: contextPath };
}

function lentTo(
  context: BuildInvocation["context"],
  request: Omit<BuildRequest, "context">,
  { env }: Ambient,
): Omit<BuildRequest, "context"> {
  return context.kind === "address" ? withLentAccess(request, context.address, env) : request;
}

function parseDockerfile(
  file: string | undefined,
  contextKind: BuildInvocation["context"]["kind"],
  cwd: string,
): Pick<BuildRequest, "dockerfile"> {
  if (file === undefined || file === "") return {};
  // In an archive or a repository the path is one inside of it.
  const isElsewhere = file === "-" || /^https?:\/\//.test(file) || contextKind !== "directory";
  return { dockerfile: isElsewhere ? file : path.resolve(cwd, file) };
}

function parseRequest(
  flags: BuildFlags,
  outputs: readonly OutputTarget[] | undefined,
  ambient: Ambient,
): Omit<BuildRequest, "context"> {
  const { env } = ambient;
  const platforms = parsePlatforms(flags.platform, ambient);
  const attestations = parseAttestations(flags);
  const resources = parseResources(flags);
  return {
    ...(flags.target ? { target: flags.target } : {}),
    buildArgs: parseBuildArgs(flags.buildArg ?? [], ambient),
    buildContexts: parseBuildContexts(flags.buildContext ?? [], ambient.cwd),
    ...(platforms.length > 0 ? { platforms } : {}),
    tags: flags.tag ?? outputs?.flatMap(namesOf) ?? [],
    labels: parsePairs(flags.label ?? [], "label", () => ""),
    noCache: parseNoCache(flags),
    pull: flags.pull === true,
    ...cachesOf(flags, ambient),
    ...(flags.network ? { network: parseChoice(flags.network, "--network", ["default", "none", "host"]) } : {}),
    extraHosts: (flags.addHost ?? []).flatMap(parseExtraHosts),
    ulimits: (flags.ulimit ?? []).map(parseUlimit),
    ...(flags.shmSize ? { shmSizeBytes: parseBytes(flags.shmSize, "--shm-size") } : {}),
    ...(flags.cgroupParent ? { cgroupParent: flags.cgroupParent } : {}),
    allow: (flags.allow ?? []).flatMap(parseAllow),
    secrets: (flags.secret ?? []).map((secret) => parseSecret(secret, env, ambient.cwd)),
    ssh: (flags.ssh ?? []).map((ssh) => parseSsh(ssh, env, ambient.cwd)),
    ...(resources ? { resources } : {}),
    ...(attestations.length > 0 ? { attestations } : {}),
    ...(flags.sign === undefined ? {} : { sign: parseSign(flags.sign, ambient) }),
    ...(flags.maxParallelism ? { maxParallelism: parseCount(flags.maxParallelism, "--max-parallelism") } : {}),
  };
}

function cachesOf({ cacheFrom = [], cacheTo = [], buildArg = [] }: BuildFlags, ambient: Ambient) {
  const from = parseCaches(cacheFrom, ambient);
  const { BUILDKIT_INLINE_CACHE: inline = "" } = parseBuildArgs(buildArg, ambient);
  const isInline = /^(1|t|T|TRUE|true|True)$/.test(inline);
  const to = [...parseCaches(cacheTo, ambient), ...(isInline ? [{ type: "inline" } as const] : [])];
  return { ...(from.length > 0 ? { cacheFrom: from } : {}), ...(to.length > 0 ? { cacheTo: to } : {}) };
}

function parseBuildArgs(words: readonly string[], { env, proxyArgs }: Ambient): Readonly<Record<string, string>> {
  const epoch = env.SOURCE_DATE_EPOCH ? { SOURCE_DATE_EPOCH: env.SOURCE_DATE_EPOCH } : {};
  const given = parsePairs(words, "build argument", (key) => env[key]);
  const names = new Set(Object.keys(given).map((name) => name.toLowerCase()));
  const proxies = Object.entries(proxyArgs).filter(([name]) => !names.has(name.toLowerCase()));
  return { ...Object.fromEntries(proxies), ...epoch, ...given };
}

function parseBuildContexts(words: readonly string[], cwd: string): Readonly<Record<string, string>> {
  const contexts = parsePairs(words, "build context", (key) => {
    throw new UsageError(`invalid context value: ${key}, expected key=value`);
  });
  return Object.fromEntries(Object.entries(contexts).map(([name, value]) => [name, resolvedContext(value, cwd)]));
}

function resolvedContext(value: string, cwd: string): string {
  const layout = /^oci-layout:\/\/(.+)$/.exec(value)?.[1];
  if (layout !== undefined) return `oci-layout://${path.resolve(cwd, layout)}`;
  return /^([a-z-]+:\/\/|target:)/.test(value) || isAddress(value) ? value : path.resolve(cwd, value);
}

function parsePlatforms(values: readonly string[] | undefined, { env, localPlatform }: Ambient): readonly string[] {
  const words = values ?? (env.DOCKER_DEFAULT_PLATFORM ? [env.DOCKER_DEFAULT_PLATFORM] : []);
  const platforms = words.flatMap((word) => word.split(",")).map((word) => word.trim());
  if (platforms.includes("")) throw new UsageError("--platform holds an empty name");
  return [...new Set(platforms.map((name) => (name === "local" ? localPlatform : name)))];
}

function parseNoCache({ cache, cacheFilter }: BuildFlags): boolean | readonly string[] {
  const stages = (Array.isArray(cacheFilter) ? cacheFilter : []).flatMap(parseCsv);
  if (cache === false && stages.length > 0)
    throw new UsageError("--no-cache and --no-cache-filter cannot be used together");
  return stages.length > 0 ? stages : cache === false;
}

/** What an archive is called. An image has its names for itself: several may have other ones. */
function namesOf(output: OutputTarget): readonly string[] {
  return output.kind === "store" || !("attrs" in output) ? [] : (output.attrs.name?.split(",") ?? []);
}

function parseOutputs(
  { output, load, push, annotation }: BuildFlags,
  cwd: string,
): readonly OutputTarget[] | undefined {
  const given = (output ?? []).map((text) => parseOutput(text, cwd));
  if (load && !given.some(({ kind }) => kind === "load")) given.push({ kind: "load", attrs: {} });
  const all = push ? withPush(given) : given;
  const words = annotation ?? [];
  const targets = withAnnotations(all.length === 0 && words.length > 0 ? [{ kind: "store", attrs: {} }] : all, words);
  if (targets.filter(({ kind }) => kind === "stdout").length > 1)
    throw new UsageError("only one output can go to standard output");
  if (targets.filter(({ kind }) => kind === "load").length > 1)
    throw new UsageError("an image can be loaded only once");
  return targets.length > 0 ? targets : undefined;
}

function callOf({ call, check }: BuildFlags): Call | undefined {
  if (call === undefined) return check ? parseCall("check") : undefined;
  const parsed = parseCall(call);
  if (check && parsed?.method !== "check") throw new UsageError("--check and --call cannot be used together");
  return parsed;
}

function planOf({ plan, call, check }: BuildFlags): PlanForm | undefined {
  if (plan === undefined) return undefined;
  if (call !== undefined || check) throw new UsageError("--plan and --call or --check cannot be used together");
  return parsePlan(plan);
}

/** How progress is shown: what --progress says, else BUILDKIT_PROGRESS. */
export function parseProgress(flag: string | undefined, env: Ambient["env"]): ProgressMode {
  if (flag !== undefined) return parseChoice(flag, "--progress", PROGRESS_MODES);
  return parseChoice(env.BUILDKIT_PROGRESS || "auto", "BUILDKIT_PROGRESS", PROGRESS_MODES);
}

function resolved(file: string | undefined, cwd: string): string | undefined {
  return file === undefined || file === "" ? undefined : path.resolve(cwd, file);
}
