import type { Digest } from "../base/index.js";

/** One operation of a build's graph. D is what the op resolver makes an op of; the solver never looks inside. */
export interface Vertex<D> {
  /** Digest of the definition: tells vertices of one build apart, and is no cache key. */
  readonly digest: Digest;
  /** The line shown to people. */
  readonly name: string;
  readonly inputs: readonly VertexEdge<D>[];
  readonly definition: D;
  /** Do not look for a result, but keep the new one. */
  readonly ignoreCache: boolean;
}

/** Output INDEX of a vertex. */
export interface VertexEdge<D> {
  readonly vertex: Vertex<D>;
  readonly index: number;
}
