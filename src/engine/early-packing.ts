import { createLimiter, type Digest, type Limiter } from "../base/index.js";
import {
  effectiveEpoch,
  type ImageWriter,
  parseImageOutput,
  parseStoreOutput,
  type WriteOptions,
} from "../exporters/index.js";
import type { FrontendImage } from "../frontend/index.js";
import type { Definition, Edge, OpNode } from "../llb/index.js";
import type { FileResult } from "../ops/index.js";
import type { BuildRequest, OutputSpec } from "./request.js";

/** Packs the layers that a build will write while its later steps still run. Disposing of it ends what is under way. */
export interface EarlyPacking extends AsyncDisposable {
  /** The vertex DIGEST has made RESULTS. */
  made(digest: Digest, results: readonly FileResult[]): void;
  /** There are no more steps: what has not begun is left to whoever writes the outputs, which now has all cores. */
  stop(): void;
}

export interface EarlyPackingOptions {
  readonly writer: ImageWriter;
  readonly request: BuildRequest;
  readonly images: readonly FrontendImage[];
  /** What the build fixes, in seconds. */
  readonly sourceDateEpoch: number | undefined;
  readonly cores: number;
  readonly signal: AbortSignal;
}

/** Undefined where no output needs a layer packed, or one core would have to do everything. */
export function createEarlyPacking(options: EarlyPackingOptions): EarlyPacking | undefined {
  const { request, sourceDateEpoch, cores } = options;
  const forms = formsOf(request.outputs ?? [], sourceDateEpoch);
  if (forms.length === 0 || cores < 2) return undefined;
  const shipped = new Map<Digest, Set<number>>();
  for (const { definition } of options.images) addShipped(definition, shipped);
  return new Packing(options, forms, shipped);
}

type Form = Omit<WriteOptions, "signal" | "onProgress">;

/** How the outputs want their layers. What is squashed has other ones. */
function formsOf(outputs: readonly OutputSpec[], build: number | undefined): readonly Form[] {
  const forms = outputs.flatMap(({ type, attrs = {} }): readonly Form[] => {
    if (type === "tar" || type === "local") return [];
    const stored = type === "image" ? parseStoreOutput(attrs) : undefined;
    const output = type === "image" ? stored : parseImageOutput(type, attrs);
    if (output === undefined || output.squash !== undefined || stored?.packed === false) return [];
    const { compression, level, rewriteTimestamp, mediaTypes } = output;
    const sourceDateEpoch = effectiveEpoch(output.sourceDateEpoch, build);
    return [{ compression, level, rewriteTimestamp, mediaTypes, sourceDateEpoch, complete: false }];
  });
  return [...new Map(forms.map((form) => [JSON.stringify(form), form])).values()];
}

/**
 * Adds the vertices, by their outputs, whose layer is sure to be the image's own. The last one is not among them: it is written as soon as
 * it is made.
 */
function addShipped({ nodes, root }: Definition, shipped: Map<Digest, Set<number>>): void {
  const pending = root === undefined ? [] : belowOf(root, nodes.get(root.digest));
  for (let edge = pending.pop(); edge; edge = pending.pop()) {
    const outputs = shipped.get(edge.digest) ?? new Set();
    if (outputs.has(edge.index)) continue;
    shipped.set(edge.digest, outputs.add(edge.index));
    pending.push(...belowOf(edge, nodes.get(edge.digest)));
  }
}

/** What the file system that EDGE is was built on. */
function belowOf({ index }: Edge, node: OpNode | undefined): Edge[] {
  if (!node) return [];
  const { op, inputs } = node;
  const at = (input: number | undefined) => (input === undefined ? [] : (inputs[input] ?? []));
  switch (op.kind) {
    case "exec":
      return [at(op.mounts.find(({ output }) => output === index)?.input)].flat();
    case "file": {
      let position = op.actions.findIndex(({ output }) => output === index);
      let input = op.actions[position]?.input;
      while (input !== undefined && input >= inputs.length && input - inputs.length < position) {
        position = input - inputs.length;
        input = op.actions[position]?.input;
      }
      return [at(input)].flat();
    }
    case "merge":
      return [...inputs];
    case "diff":
    case "source":
      return [];
  }
}

class Packing implements EarlyPacking {
  readonly #options: EarlyPackingOptions;
  readonly #forms: readonly Form[];
  readonly #shipped: ReadonlyMap<Digest, ReadonlySet<number>>;
  readonly #limiter: Limiter;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  readonly #working = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: EarlyPackingOptions, forms: readonly Form[], shipped: ReadonlyMap<Digest, ReadonlySet<number>>) {
    this.#options = options;
    this.#forms = forms;
    this.#shipped = shipped;
    // One core is left to the steps.
    this.#limiter = createLimiter(options.cores - 1);
    this.#signal = AbortSignal.any([options.signal, this.#closing.signal]);
  }

  made(digest: Digest, results: readonly FileResult[]): void {
    for (const index of this.#shipped.get(digest) ?? []) {
      const tree = results[index]?.tree;
      if (tree === undefined) continue;
      for (const form of this.#forms) this.#begin({ ...form, signal: this.#signal }, tree);
    }
  }

  #begin(form: WriteOptions, tree: FileResult["tree"]): void {
    const { writer } = this.#options;
    const work = this.#limiter
      .run(async () => {
        if (!this.#stopped) await writer.prepack(tree, form);
      })
      .catch(() => {}); // whoever writes the outputs comes upon it again, and tells
    this.#working.add(work);
    work.then(() => this.#working.delete(work));
  }

  stop(): void {
    this.#stopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#closing.abort();
    await Promise.all(this.#working);
  }
}
