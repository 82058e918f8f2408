import { type Digest, EngineError } from "../base/index.js";
import type { FileSource, Tree } from "../snapshot/index.js";
import type { OpContext, Result } from "../solver/index.js";
import type { OpEnvironment } from "./environment.js";
import { digestOfSelection, everything } from "./selection.js";

/** What an op makes: a tree of layers, or, of a local source, a directory of the caller's. Leases belong to the build, not to the handle. */
export interface FileResult extends Result {
  readonly source: FileSource;
  /** The layers; throws `internal` for a local directory. */
  readonly tree: Tree;
}

/** A result that reads from SOURCE. */
export function createResult(source: FileSource, environment: OpEnvironment): FileResult {
  return new SourceResult(source, environment);
}

class SourceResult implements FileResult {
  readonly source: FileSource;
  readonly #environment: OpEnvironment;

  constructor(source: FileSource, environment: OpEnvironment) {
    this.source = source;
    this.#environment = environment;
  }

  get tree(): Tree {
    if (this.source.kind === "tree") return this.source.tree;
    throw new EngineError("internal", "a local directory has no layers");
  }

  clone(): this {
    return new SourceResult(this.source, this.#environment) as this;
  }

  contentDigest(context: OpContext): Promise<Digest> {
    return digestOfSelection(this, everything, { environment: this.#environment, context });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
