import type { Digest } from "../base/index.js";
import type { ProgressSink, VertexInfo } from "../progress/index.js";
import type { Vertex } from "./vertex.js";

/** A handle on what an op made. Whoever gets one disposes of it; `clone` gives another handle on the same thing. */
export interface Result extends AsyncDisposable {
  clone(): this;
  /** Digest of everything in it: equal results have equal digests, on any machine. */
  contentDigest(context: OpContext): Promise<Digest>;
}

/** What a vertex does. Made once per vertex and build; both methods are asked at most once. */
export interface Op<R extends Result> {
  cacheMap(context: OpContext): Promise<CacheMap<R>>;
  /**
   * Makes the results, one per output. INPUTS stay the caller's. Must have cleaned up, and ended what it started, when it settles,
   * whether it fails or is aborted.
   */
  exec(inputs: readonly R[], context: OpContext): Promise<readonly R[]>;
}

export interface OpContext {
  readonly signal: AbortSignal;
  readonly progress: ProgressSink;
  /** The vertex that events belong to. */
  readonly vertex: VertexInfo;
}

/** What is known of an op before it runs. */
export interface CacheMap<R extends Result> {
  /** The op by its definition; undefined: its definition says nothing that holds in another build (a local directory). */
  readonly definition: Digest | undefined;
  /** What `definition` is the digest of, so that a key can explain itself. Holds no secret. */
  readonly preimage?: unknown;
  /** The op by content, where that differs: an image by its layers instead of its manifest. */
  readonly content?: Digest;
  readonly inputs: readonly InputKey<R>[];
  /** How many results the op has. Default: 1. */
  readonly outputs?: number;
  /** False for an op so cheap that its result is never looked up nor kept (a source); such an op reports its own progress. */
  readonly kept: boolean;
}

/** How an input counts in the keys of its consumer. */
export interface InputKey<R extends Result> {
  /** What part of the input the op sees, in canonical form. */
  readonly selector?: string;
  /** Digest of that part. Absent: the input counts as a whole, by its key. */
  readonly contentDigest?: (result: R, context: OpContext) => Promise<Digest>;
  /** The links that lead to that part once its digest is known, which is the same wherever it lies: for explanations. */
  readonly followed?: (result: R) => unknown;
  /** What that part holds, for explanations. Costs as much as the digest, or more. */
  readonly describe?: (result: R, context: OpContext) => Promise<unknown>;
}

export type ResolveOp<D, R extends Result> = (vertex: Vertex<D>) => Op<R>;
