import { type Clock, type Digest, digestOf, EngineError, type Limiter } from "../base/index.js";
import type { CacheMounts } from "../cache/index.js";
import type { Executor, StepResources } from "../executor/index.js";
import type { VertexInfo } from "../progress/index.js";
import type { Secrets, SshAgents } from "../session/index.js";
import type { ContentDigest, ContentTree, DataPlane, LayerId, LayerStore, StateDirs } from "../snapshot/index.js";
import type { GitCheckouts, HttpDownloads } from "../sources/index.js";
import type { Inspection } from "./inspection.js";

/** What the ops of one build work with. */
export interface OpEnvironment {
  readonly buildId: string;
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly executor: Executor;
  readonly dirs: StateDirs;
  readonly clock: Clock;
  readonly secrets: Secrets;
  readonly ssh: SshAgents;
  /** A path for temporary files that nobody else has; what is there goes away with the engine at the latest. */
  readonly temporary: (kind: string) => string;
  readonly cacheMounts: CacheMounts;
  readonly images: ImageResolver;
  readonly downloads: HttpDownloads;
  readonly git: GitCheckouts;
  /** Local sources by name: absolute directories of the caller's. */
  readonly directories: ReadonlyMap<string, string>;
  /** `network.host`, `security.insecure`, as far as the caller allowed them. */
  readonly entitlements: ReadonlySet<string>;
  /** Where devices are described (CDI); absent: the usual places. */
  readonly cdiDirectories?: readonly string[] | undefined;
  /** Bounds of every step. */
  readonly resources: StepResources;
  readonly steps: Limiter;
  /** Who wants to look at steps that fail. */
  readonly inspection?: Inspection | undefined;
  /** Which vertex speaks for a layer that has to be pulled. */
  readonly pulledBy: Map<LayerId, VertexInfo>;
  /** False where a build is only planned: what is not here can't be looked at then (`Undecided`). Default: true. */
  readonly mayPull?: (() => boolean) | undefined;
  readonly contextDigests: Map<string, Promise<Digest>>;
  /** The links that selections of contexts led through, by the names of those: for explanations. */
  readonly followedLinks: Map<string, ContentDigest["links"]>;
  /** The selections whose contents this build has looked at, by the digests of those: for explanations. */
  readonly contentTrees: Map<Digest, ContentTree>;
  /** A local source is about to be read under SCAN_ID. */
  onContext(scanId: string, vertex: VertexInfo): void;
  /** So many BYTES of it count; undefined: it could not be read. */
  onContextRead(scanId: string, bytes: number | undefined): void;
}

/** An image that a source names, as its layers. */
export interface ImageResolver {
  /** The layers of the image IDENTIFIER (`docker-image://…@sha256:…` or `oci-layout://…`), bottom first, and where they can be had. */
  layers(
    identifier: string,
    platform: ImagePlatform,
    options: { readonly signal: AbortSignal },
  ): Promise<ResolvedLayers>;
}

export type ImagePlatform = {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
};

export interface ResolvedLayers {
  readonly manifest: Digest;
  readonly layers: Parameters<LayerStore["adopt"]>[0];
}

/** The digest of several, in order. */
export function digestOfAll(digests: readonly Digest[]): Digest {
  return digestOf(digests.join("\n"));
}

/** Refuses what needs an entitlement that the caller did not give. */
export function requireEntitlement(environment: OpEnvironment, name: string): void {
  if (environment.entitlements.has(name)) return;
  throw new EngineError("denied", `${name} is not allowed`, { hint: `allow it with --allow ${name}` });
}
