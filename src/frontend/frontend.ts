import type { AbortOptions, Digest } from "../base/index.js";
import type { Definition, SourceOp, SourceRange } from "../llb/index.js";
import type { ImageConfig, Platform } from "../oci/index.js";
import type { Range } from "./dockerfile/ast.js";

/** Turns a source text into a graph per platform. Pure but for the doors of the bridge. */
export interface Frontend {
  solve(request: FrontendRequest, bridge: FrontendBridge, options?: AbortOptions): Promise<FrontendResult>;
}

/** What of a build the frontend needs. */
export interface FrontendRequest {
  /** The Dockerfile, and the name shown in messages. */
  readonly dockerfile: { readonly name: string; readonly text: string };
  /** The `.dockerignore` that applies to the main context, if there is one. */
  readonly dockerignore: { readonly name: string; readonly text: string } | undefined;
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** Where the main context is not the local source `context`: what gives it. */
  readonly mainContext?: SourceContext | undefined;
  /** Named contexts (--build-context), by name. */
  readonly contexts: ReadonlyMap<string, NamedContext>;
  /** Wanted platforms; empty means the build platform, without a per-platform result. */
  readonly platforms: readonly Platform[];
  readonly buildPlatform: Platform;
  /** `true` for all stages, or the names of stages (--no-cache-filter). */
  readonly noCache: boolean | readonly string[];
  readonly network: "default" | "none" | "host";
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly shmSizeBytes: number | undefined;
  readonly cgroupParent: string | undefined;
}

/**
 * A named context. `local`: the local source of that name; `image`: a reference; `layout`: `oci-layout://<store>[:tag][@digest]`;
 * `target`: a stage of the same file; `source`: what a repository or a download gives (`contextSource` makes it of an address).
 */
export type NamedContext =
  | { readonly kind: "local"; readonly name: string }
  | { readonly kind: "image"; readonly reference: string }
  | { readonly kind: "layout"; readonly identifier: string }
  | { readonly kind: "target"; readonly stage: string }
  | { readonly kind: "source"; readonly op: SourceOp };

/** A context that a repository or a download gives; `unpack`: the download is an archive that holds it. */
export interface SourceContext {
  readonly op: SourceOp;
  readonly unpack: boolean;
}

/** The frontend's doors to the outside. */
export interface FrontendBridge {
  /**
   * The config of the image a source names (`docker-image://docker.io/library/alpine:3` or `oci-layout://…`) for PLATFORM,
   * the digest it stands for, and its identifier with that digest pinned. Errors: `not-found`, `denied`, `unavailable`.
   */
  resolveImageConfig(identifier: string, platform: Platform, options?: AbortOptions): Promise<ResolvedImage>;
  /** A file of the local source CONTEXT (`context` or a named one), undefined where there is none. Limited to 16 MiB. */
  readFile(context: string, path: string, options?: AbortOptions): Promise<Uint8Array | undefined>;
  /**
   * When what a repository or a download gives was made: the time of the commit; what the server says, or else the newest file of the
   * archive that it is. Undefined where nothing tells. Errors: as of the source.
   */
  sourceTime(op: SourceOp, options?: AbortOptions): Promise<Date | undefined>;
  warn(diagnostic: Diagnostic): void;
}

export interface ResolvedImage {
  readonly identifier: string;
  readonly digest: Digest;
  readonly config: ImageConfig;
}

export interface FrontendResult {
  readonly images: readonly FrontendImage[];
  /** Whether it is a result for several platforms: one image may be that, too, if BUILDKIT_MULTI_PLATFORM wants it. */
  readonly multiPlatform: boolean;
}

/** One platform's image: what to build, and its config but for the layers and times, which the exporter fills in. */
export interface FrontendImage {
  readonly platform: Platform;
  readonly definition: Definition;
  /** The time that SOURCE_DATE_EPOCH fixed, if it did. */
  readonly epoch: Date | undefined;
  /** `history` has an entry per instruction; those without `empty_layer` correspond in order to the layers above the base. */
  readonly config: ImageConfig;
}

/** An error or a warning about a place in a source file. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** Of a build check: its name. */
  readonly rule?: string;
  readonly message: string;
  readonly description?: string;
  readonly url?: string;
  readonly hint?: string;
  /** All lines of the instruction it is about. */
  readonly location?: SourceRange;
  /** The very words that are wrong, in the file of `location`, where they are known. May span lines. */
  readonly culprit?: Range;
  /** What to write in place of `culprit`, where that is likely; `message` names it too. */
  readonly suggestion?: string;
  /** It stands for so many mistakes that are not listed. */
  readonly omitted?: number;
}
