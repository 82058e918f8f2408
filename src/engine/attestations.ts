import path from "node:path";
import {
  type Access,
  type Attestation,
  type BuildRecord,
  commitDigest,
  digestSet,
  parseProvenanceOptions,
  parseSbomOptions,
  provenance,
  sbom,
  sbomPatterns,
} from "../attest/index.js";
import { type Digest, EngineError, isDigest, redactCredentials } from "../base/index.js";
import type { FrontendImage } from "../frontend/index.js";
import { type OpNode, type SourceOp, wireGraph } from "../llb/index.js";
import { formatPlatform, formatReference, hostPlatform, parseReference } from "../oci/index.js";
import { gitWanted, type OpEnvironment } from "../ops/index.js";
import type { Tree } from "../snapshot/index.js";
import { parseLayoutIdentifier } from "../sources/index.js";
import type { BuildInputs } from "./inputs.js";
import type { BuiltImage } from "./outputs.js";
import type { AttestationSpec, BuildRequest } from "./request.js";

/** What of a build attestations are made from. */
export interface Attesting {
  readonly request: BuildRequest;
  readonly inputs: BuildInputs;
  readonly environment: OpEnvironment;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly signal: AbortSignal;
}

/** Refuses attestations that can't be made. Throws `invalid` or `unsupported`. */
export function checkAttestations({ attestations = [] }: BuildRequest): void {
  const types = attestations.map(({ type }) => type);
  const twice = types.find((type, i) => types.indexOf(type) !== i);
  if (twice !== undefined) throw new EngineError("invalid", `duplicate attestation field ${twice}`);
  for (const { type, attrs = {} } of attestations)
    if (type === "provenance") parseProvenanceOptions(attrs);
    else parseSbomOptions(attrs);
}

/** BUILT, the images in their order, with what the request wants to be said of them. */
export async function attestedImages(
  images: readonly FrontendImage[],
  built: readonly BuiltImage[],
  attesting: Attesting,
): Promise<readonly BuiltImage[]> {
  if ((attesting.request.attestations ?? []).length === 0) return built;
  return Promise.all(
    built.map(async (each, i): Promise<BuiltImage> => {
      const image = images[i];
      return image ? { ...each, attestations: await attestationsOf(image, each.tree, attesting) } : each;
    }),
  );
}

/** What the request wants to be said of the image that TREE is the file system of. */
async function attestationsOf(image: FrontendImage, tree: Tree, attesting: Attesting): Promise<readonly Attestation[]> {
  const specs = attesting.request.attestations ?? [];
  return Promise.all(specs.map((spec) => attestationOf(spec, { image, tree }, attesting)));
}

async function attestationOf(
  { type, attrs = {} }: AttestationSpec,
  { image, tree }: { readonly image: FrontendImage; readonly tree: Tree },
  attesting: Attesting,
): Promise<Attestation> {
  if (type === "provenance") return provenance(await recordOf(image, attesting), parseProvenanceOptions(attrs));
  const { environment, request, signal } = attesting;
  const { layers, plane, clock } = environment;
  await layers.ensure(tree, { signal });
  const survey = await plane.run("surveyTree", { tree, contents: sbomPatterns(), programs: true }, { signal });
  const [name = formatPlatform(image.platform)] = request.tags ?? [];
  const createdAt = image.epoch?.getTime() ?? clock.now();
  const { contents: files, programs, leftOut } = survey;
  return sbom({ files, programs, leftOut, name, createdAt }, parseSbomOptions(attrs));
}

async function recordOf({ definition }: FrontendImage, attesting: Attesting): Promise<BuildRecord> {
  const { request, inputs, environment, startedAt } = attesting;
  const nodes = [...definition.nodes.values()];
  const sources = await sourcesOf(nodes, attesting);
  return {
    ...sources,
    ...stepsOf(nodes),
    locals: localsOf(nodes, request),
    args: argsOf(request),
    context: await contextOf(attesting),
    dockerfile: inputs.dockerfile,
    builderPlatform: formatPlatform(hostPlatform(process.arch)),
    graph: wireGraph(definition),
    redact: redactCredentials,
    invocationId: environment.buildId,
    startedAt,
    finishedAt: environment.clock.now(),
  };
}

type Sources = Pick<BuildRecord, "images" | "repositories" | "downloads">;

async function sourcesOf(nodes: readonly OpNode[], attesting: Attesting): Promise<Sources> {
  const images: BuildRecord["images"][number][] = [];
  const repositories: BuildRecord["repositories"][number][] = [];
  const downloads: BuildRecord["downloads"][number][] = [];
  for (const { op, platform } of nodes) {
    if (op.kind !== "source") continue;
    const image = imageOf(op.identifier);
    if (image) images.push({ ...image, platform });
    else if (op.identifier.startsWith("git://")) repositories.push(await repositoryOf(op, attesting));
    else if (/^https?:/.test(op.identifier)) downloads.push(await downloadOf(op, attesting));
  }
  return {
    images: distinct(images, ({ reference }) => reference),
    repositories: distinct(repositories, ({ url }) => url),
    downloads: distinct(downloads, ({ url }) => url),
  };
}

/** An image, whose identifier names its digest. */
function imageOf(identifier: string): Omit<BuildRecord["images"][number], "platform"> | undefined {
  if (identifier.startsWith("docker-image://")) {
    const { digest, ...named } = parseReference(identifier.slice("docker-image://".length));
    const reference = formatReference({ ...named, ...(digest === undefined ? {} : { digest }) });
    return { reference, digest, isLocal: false };
  }
  if (!identifier.startsWith("oci-layout://")) return undefined;
  const { dir, tag, digest } = parseLayoutIdentifier(identifier);
  // Where a directory lies is the machine's own affair.
  const name =
    path
      .basename(dir)
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "") || "layout";
  const suffix = `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
  return { reference: name + suffix, digest, isLocal: true };
}

/** What the ref of a repository stood for in this build; it was asked already. */
async function repositoryOf(op: SourceOp, { environment, signal }: Attesting) {
  const wanted = gitWanted(op);
  const { commit, object } = await environment.git.resolve(wanted, { signal });
  const { remote, ref } = wanted.request;
  return { url: redactCredentials(ref === "" ? remote : `${remote}#${ref}`), commit: commit ?? object };
}

async function downloadOf({ identifier, attrs }: SourceOp, { environment, signal }: Attesting) {
  const checksum = attrs["http.checksum"];
  const digest: Digest =
    checksum !== undefined && isDigest(checksum)
      ? checksum
      : (await environment.downloads.look(identifier, { signal })).digest;
  return { url: redactCredentials(identifier), digest };
}

function distinct<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  const known = new Map(items.map((item) => [key(item), item] as const));
  return [...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}

/** What the steps may use beside files. */
function stepsOf(nodes: readonly OpNode[]): Pick<BuildRecord, "secrets" | "agents" | "usedNetwork"> {
  const steps = nodes.flatMap(({ op }) => (op.kind === "exec" ? [op] : []));
  const mounts = steps.flatMap((step) => step.mounts);
  const secrets: readonly Access[] = [
    ...mounts.flatMap(({ type, secret }) => (type === "secret" && secret ? [secret] : [])),
    ...steps.flatMap(({ secretEnv = [] }) => secretEnv),
  ];
  return {
    secrets: accessOf(secrets),
    agents: accessOf(mounts.flatMap(({ type, ssh }) => (type === "ssh" && ssh ? [ssh] : []))),
    usedNetwork: steps.some(({ network }) => network !== "none"),
  };
}

/** One that some step can't do without is not optional. */
function accessOf(all: readonly Access[]): readonly Access[] {
  const ids = [...new Set(all.map(({ id }) => id))].sort();
  return ids.map((id) => ({ id, optional: all.every((each) => each.id !== id || each.optional) }));
}

/** Directories that were read; the Dockerfile counts as one. */
function localsOf(nodes: readonly OpNode[], { context }: BuildRequest): readonly string[] {
  const named = nodes.flatMap(({ op }) =>
    op.kind === "source" && op.identifier.startsWith("local://") ? [op.identifier.slice("local://".length)] : [],
  );
  const isAddress = typeof context === "string" && /^[a-z][a-z0-9+.-]*:\/\/|^[^/]+@[^/]+:/i.test(context);
  return [...new Set([...named, ...(isAddress ? [] : ["context", "dockerfile"])])].sort();
}

function argsOf(request: BuildRequest): Readonly<Record<string, string>> {
  const { buildArgs = {}, labels = {}, target, noCache, network } = request;
  const prefixed = (prefix: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).map(([key, value]) => [`${prefix}:${key}`, redactCredentials(value)] as const);
  return Object.fromEntries([
    ...prefixed("build-arg", buildArgs),
    ...prefixed("label", labels),
    ...(target === undefined ? [] : [["target", target] as const]),
    ...(noCache === undefined || noCache === false
      ? []
      : [["no-cache", noCache === true ? "" : noCache.join(",")] as const]),
    ...(network === undefined || network === "default" ? [] : [["force-network-mode", network] as const]),
  ]);
}

/** Where the build came from, if that is an address. */
async function contextOf(attesting: Attesting): Promise<BuildRecord["context"]> {
  const { request, inputs } = attesting;
  const op = inputs.mainContext?.op;
  if (op === undefined || typeof request.context !== "string") return undefined;
  const uri = redactCredentials(request.context);
  if (op.identifier.startsWith("git://")) {
    const { commit } = await repositoryOf(op, attesting);
    return { uri, digest: commitDigest(commit) };
  }
  return { uri, digest: digestSet((await downloadOf(op, attesting)).digest) };
}
