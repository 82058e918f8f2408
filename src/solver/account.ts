import type { Digest } from "../base/index.js";
import type { VertexInfo } from "../progress/index.js";
import type { CacheKey, ContentPart } from "./cache-manager.js";
import type { CacheMap, OpContext, Result } from "./op.js";

/** What a vertex counted by in one build, as far as the build has found it out. Looking at it asks, loads and runs nothing. */
export interface VertexAccount {
  readonly vertex: VertexInfo;
  readonly state: VertexState;
  /** The key that consumers counted it by; undefined where none has asked. */
  readonly key: CacheKey | undefined;
  /** What its op is made of: `CacheMap.preimage`. */
  readonly preimage: unknown;
  /** Whether it ran whatever was in the cache. */
  readonly ignoresCache: boolean;
  readonly inputs: readonly AccountedInput[];
}

/** `idle`: nobody needed its results. */
export type VertexState = "idle" | "cached" | "running" | "ran";

export interface AccountedInput {
  readonly account: VertexAccount;
  readonly index: number;
  readonly selector: string | undefined;
  /** Of an input that counts by content: the digest of the selected part, where it is known. */
  readonly content: Digest | undefined;
  readonly byContent: boolean;
  /** The links that lead to the selected part (`InputKey.followed`); undefined where that takes a result that is not at hand. */
  followed(): unknown;
  /** What the selected part holds (`InputKey.describe`); undefined where that takes a result that is not at hand. */
  describe(context: OpContext): Promise<unknown>;
}

/** An account as it is kept: the vertex's task writes down what it has found out. */
export class KeptAccount<R extends Result> implements VertexAccount {
  readonly vertex: VertexInfo;
  readonly ignoresCache: boolean;
  state: VertexState = "idle";
  key: CacheKey | undefined;
  map: CacheMap<R> | undefined;
  /** Whether a record of it was found that could not be loaded. */
  isLost = false;
  results: readonly R[] | undefined;
  readonly #sources: readonly AccountSource<R>[];
  readonly #contents = new Map<string, Digest>();

  constructor(vertex: VertexInfo, ignoresCache: boolean, sources: readonly AccountSource<R>[]) {
    this.vertex = vertex;
    this.ignoresCache = ignoresCache;
    this.#sources = sources;
  }

  get preimage(): unknown {
    return this.map?.preimage;
  }

  get inputs(): readonly AccountedInput[] {
    return this.#sources.map(({ account, index }, n) => {
      const { selector, contentDigest, followed, describe } = this.map?.inputs[n] ?? {};
      return {
        account,
        index,
        selector,
        byContent: contentDigest !== undefined,
        content: contentDigest && account.#contents.get(partId({ index, selector: selector ?? WHOLE })),
        followed() {
          const result = account.results?.[index];
          return result && followed?.(result);
        },
        describe: async (context) => {
          const result = account.results?.[index];
          return result && (await describe?.(result, context));
        },
      };
    });
  }

  /** The digest of a part of the results. */
  noteContent(part: ContentPart, digest: Digest): void {
    this.#contents.set(partId(part), digest);
  }
}

export interface AccountSource<R extends Result> {
  readonly account: KeptAccount<R>;
  readonly index: number;
}

/** The selector of everything. */
export const WHOLE = "";

/** Tells the parts of one vertex's results apart. */
export function partId({ index, selector }: ContentPart): string {
  return `${index}:${selector}`;
}
