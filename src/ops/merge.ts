import { canonicalJson, digestOf } from "../base/index.js";
import type { DiffOp } from "../llb/index.js";
import type { Tree } from "../snapshot/index.js";
import type { Op } from "../solver/index.js";
import type { OpEnvironment } from "./environment.js";
import { ensureTree } from "./pull.js";
import { createResult, type FileResult } from "./result.js";

/** The op that lays trees over each other: no file is touched. */
export function createMergeOp(inputCount: number, environment: OpEnvironment): Op<FileResult> {
  return {
    cacheMap: async () => ({
      definition: digestOf(canonicalJson({ merge: inputCount })),
      preimage: { merge: inputCount },
      inputs: Array.from({ length: inputCount }, () => ({})),
      kept: true,
    }),
    exec: async (inputs) => [createResult({ kind: "tree", tree: inputs.flatMap(({ tree }) => tree) }, environment)],
  };
}

/** The op of what one tree adds to another: its own layers where it was built on the other, else one computed layer. */
export function createDiffOp(op: DiffOp, inputCount: number, environment: OpEnvironment): Op<FileResult> {
  return {
    cacheMap: async () => ({
      definition: digestOf(canonicalJson({ diff: op })),
      preimage: { diff: op },
      inputs: Array.from({ length: inputCount }, () => ({})),
      kept: true,
    }),
    exec: async (inputs, context) => {
      const lower = inputs[op.lower]?.tree ?? [];
      const upper = inputs[op.upper]?.tree ?? [];
      if (isPrefix(lower, upper)) return [createResult({ kind: "tree", tree: upper.slice(lower.length) }, environment)];
      await ensureTree([...lower, ...upper], environment, context);
      const workspace = await environment.layers.create([]);
      try {
        const args = { lower, upper, layer: workspace.layer };
        const summary = await environment.plane.run("diffTrees", args, { signal: context.signal });
        return [createResult({ kind: "tree", tree: await environment.layers.seal(workspace, summary) }, environment)];
      } catch (error) {
        await environment.layers.abandon(workspace);
        throw error;
      }
    },
  };
}

function isPrefix(lower: Tree, upper: Tree): boolean {
  return lower.every((layer, i) => upper[i] === layer);
}
