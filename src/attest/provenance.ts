import type { Digest } from "../base/index.js";
import type { Layer, Platform } from "../oci/index.js";
import { type Attestation, digestSet } from "./attestation.js";
import { type BuildSteps, buildStepsOf, type RecordedGraph, type Redact } from "./build-steps.js";
import { imagePackageUrl } from "./package-url.js";

/** How provenance is asked for. */
export interface ProvenanceOptions {
  /** `min` leaves out the values of build arguments and labels, the ids of secrets and agents, the graph and the Dockerfile. */
  readonly mode: "min" | "max";
  readonly version: "v1" | "v0.2";
  readonly builderId: string;
  readonly fileName: string;
  readonly inlineOnly: boolean;
  /** Whether the caller vouches that the build can be repeated to the byte. */
  readonly reproducible: boolean;
}

/** What a build of one platform was made from. No credential may be in any of it. */
export interface BuildRecord {
  readonly images: readonly {
    readonly reference: string;
    readonly platform: Platform | undefined;
    readonly digest: Digest | undefined;
    /** Whether it is from a directory, not from a registry. */
    readonly isLocal: boolean;
  }[];
  readonly repositories: readonly { readonly url: string; readonly commit: string }[];
  readonly downloads: readonly { readonly url: string; readonly digest: Digest }[];
  readonly locals: readonly string[];
  readonly secrets: readonly Access[];
  readonly agents: readonly Access[];
  /** Whether a step could reach the network. */
  readonly usedNetwork: boolean;
  /** In BuildKit's words: `target`, `build-arg:X`, `label:X`. */
  readonly args: Readonly<Record<string, string>>;
  /** Where the build came from, if that was an address: the address, and what it stood for. */
  readonly context: { readonly uri: string; readonly digest: Readonly<Record<string, string>> | undefined } | undefined;
  readonly dockerfile: { readonly name: string; readonly text: string };
  /** `linux/amd64` */
  readonly builderPlatform: string;
  readonly graph: RecordedGraph;
  /** Masks what of the graph and of the Dockerfile may hold a credential. */
  readonly redact: Redact;
  readonly invocationId: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** A secret or an agent that a step may use. */
export interface Access {
  readonly id: string;
  readonly optional: boolean;
}

/** The provenance of a build in the form BuildKit gives it: a predicate of SLSA 1, or 0.2 where that is asked for. */
export function provenance(record: BuildRecord, options: ProvenanceOptions): Attestation {
  const { fileName, inlineOnly, version } = options;
  return {
    fileName,
    inlineOnly,
    predicateType: version === "v1" ? "https://slsa.dev/provenance/v1" : "https://slsa.dev/provenance/v0.2",
    predicate(layers) {
      const facts = factsOf(record, options, layers);
      return version === "v1" ? predicate1(facts) : predicate02(facts);
    },
  };
}

const BUILD_TYPE_1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const BUILD_TYPE_02 = "https://mobyproject.org/buildkit@v1";

/** What both versions say. */
interface Facts {
  readonly builderId: string;
  readonly materials: readonly Material[];
  readonly configSource: { readonly uri?: string; readonly digest?: Material["digest"]; readonly path: string };
  readonly request: object;
  readonly builderPlatform: string;
  readonly steps: BuildSteps | undefined;
  readonly invocationId: string;
  readonly startedOn: string;
  readonly finishedOn: string;
  readonly hermetic: boolean;
  readonly reproducible: boolean;
  readonly requestComplete: boolean;
  readonly materialsComplete: boolean;
  readonly metadata: object;
}

interface Material {
  readonly uri: string;
  readonly digest?: Readonly<Record<string, string>>;
}

function factsOf(record: BuildRecord, options: ProvenanceOptions, layers: readonly Layer[]): Facts {
  const isMax = options.mode === "max";
  const steps = isMax ? buildStepsOf(record.graph, record.redact) : undefined;
  const materialsComplete = record.locals.length === 0;
  const { args, complete } = requestArgs(record.args, isMax);
  const { context } = record;
  return {
    builderId: options.builderId,
    materials: materialsOf(record),
    configSource: {
      ...(context === undefined ? {} : { uri: context.uri, ...(context.digest ? { digest: context.digest } : {}) }),
      path: record.dockerfile.name,
    },
    request: requestOf(record, args, isMax),
    builderPlatform: record.builderPlatform,
    steps,
    invocationId: record.invocationId,
    startedOn: new Date(record.startedAt).toISOString(),
    finishedOn: new Date(record.finishedAt).toISOString(),
    hermetic: materialsComplete && !record.usedNetwork,
    reproducible: options.reproducible,
    requestComplete: complete,
    materialsComplete,
    metadata: steps === undefined ? {} : metadataOf(record, steps, layers),
  };
}

/** Build arguments and labels may hold anything: whoever asked for little gets neither. */
function requestArgs(
  given: BuildRecord["args"],
  isMax: boolean,
): { readonly args: BuildRecord["args"]; readonly complete: boolean } {
  const all = Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1));
  const kept = isMax ? all : all.filter(([key]) => !/^(?:build-arg|label):/.test(key));
  return { args: Object.fromEntries(kept), complete: kept.length === all.length };
}

function requestOf(record: BuildRecord, args: BuildRecord["args"], isMax: boolean): object {
  const accesses = (list: readonly Access[]) =>
    list.map(({ id, optional }) => ({ id, ...(optional ? { optional: true } : {}) }));
  return {
    frontend: "dockerfile.v0",
    ...(Object.keys(args).length > 0 ? { args } : {}),
    ...(isMax && record.secrets.length > 0 ? { secrets: accesses(record.secrets) } : {}),
    ...(isMax && record.agents.length > 0 ? { ssh: accesses(record.agents) } : {}),
    ...(record.locals.length > 0 ? { locals: record.locals.map((name) => ({ name })) } : {}),
  };
}

function materialsOf({ images, repositories, downloads }: BuildRecord): readonly Material[] {
  return [
    ...images.map(({ reference, platform, digest, isLocal }) => ({
      uri: imagePackageUrl(reference, platform, isLocal ? "oci" : "docker"),
      ...(digest === undefined ? {} : { digest: digestSet(digest) }),
    })),
    ...repositories.map(({ url, commit }) => ({ uri: url, digest: commitDigest(commit) })),
    ...downloads.map(({ url, digest }) => ({ uri: url, digest: digestSet(digest) })),
  ];
}

const SHA256_DIGITS = 64;

/** The digest of a commit, by how long it is. */
export function commitDigest(commit: string): Readonly<Record<string, string>> {
  return { [commit.length === SHA256_DIGITS ? "sha256" : "sha1"]: commit };
}

function metadataOf({ dockerfile, graph, redact }: BuildRecord, steps: BuildSteps, layers: readonly Layer[]): object {
  const root = graph.root && steps.ids.get(graph.root.digest);
  const info = {
    filename: dockerfile.name,
    language: "Dockerfile",
    data: Buffer.from(redact(dockerfile.text)).toString("base64"),
  };
  return {
    source: { locations: steps.locations, infos: [info] },
    ...(root === undefined || layers.length === 0
      ? {}
      : { layers: { [`${root}:${graph.root?.index}`]: [layers.map(({ descriptor }) => descriptor)] } }),
  };
}

function predicate1(facts: Facts): object {
  const { steps, reproducible, hermetic } = facts;
  return {
    buildDefinition: {
      buildType: BUILD_TYPE_1,
      ...(facts.materials.length > 0 ? { resolvedDependencies: facts.materials } : {}),
      externalParameters: { configSource: facts.configSource, request: facts.request },
      internalParameters: {
        ...(steps ? { buildConfig: buildConfig(steps) } : {}),
        builderPlatform: facts.builderPlatform,
      },
    },
    runDetails: {
      builder: { id: facts.builderId },
      metadata: {
        invocationId: facts.invocationId,
        startedOn: facts.startedOn,
        finishedOn: facts.finishedOn,
        buildkit_metadata: facts.metadata,
        ...(hermetic ? { buildkit_hermetic: true } : {}),
        buildkit_completeness: { request: facts.requestComplete, resolvedDependencies: facts.materialsComplete },
        ...(reproducible ? { buildkit_reproducible: true } : {}),
      },
    },
  };
}

function predicate02(facts: Facts): object {
  const { steps, configSource } = facts;
  const { path, ...source } = configSource;
  return {
    builder: { id: facts.builderId },
    buildType: BUILD_TYPE_02,
    materials: facts.materials,
    invocation: {
      configSource: { ...source, entryPoint: path },
      parameters: facts.request,
      environment: { platform: facts.builderPlatform },
    },
    ...(steps ? { buildConfig: buildConfig(steps) } : {}),
    metadata: {
      buildInvocationID: facts.invocationId,
      buildStartedOn: facts.startedOn,
      buildFinishedOn: facts.finishedOn,
      completeness: { parameters: facts.requestComplete, environment: true, materials: facts.materialsComplete },
      reproducible: facts.reproducible,
      [`${BUILD_TYPE_02}#metadata`]: facts.metadata,
      ...(facts.hermetic ? { [`${BUILD_TYPE_02}#hermetic`]: true } : {}),
    },
  };
}

function buildConfig({ definition, ids }: BuildSteps): object {
  return { llbDefinition: definition, digestMapping: Object.fromEntries(ids) };
}
