import { type Digest, digestOf, lazy } from "../base/index.js";
import { type BuildPlace, recallBuild } from "../cache/index.js";
import type { FrontendImage } from "../frontend/index.js";
import type { OpNode } from "../llb/index.js";
import type { FileResult } from "../ops/index.js";
import type { Job, OpContext, VertexAccount } from "../solver/index.js";
import type { BuildEngine } from "./build.js";
import { buildPlace } from "./build-place.js";
import { type BuildInputs, MAIN_CONTEXT } from "./inputs.js";
import type { BuildRequest } from "./request.js";

/** Tells of the steps of one build why they were not in the cache, and remembers the build for the next one. */
export interface Explainer {
  /** A step begins to run; settles when it is told why. Never rejects. */
  missed(account: VertexAccount, context: OpContext): Promise<void>;
  /** The steps have ended, well or not. Costs a look-up where none ran and the place is known. Never rejects. */
  remember(job: Job<OpNode, FileResult>): Promise<void>;
}

/** What is explained. */
export interface Explained {
  readonly engine: BuildEngine;
  readonly request: BuildRequest;
  readonly inputs: BuildInputs;
  readonly images: readonly FrontendImage[];
  readonly signal: AbortSignal;
}

/** Everything it takes is loaded when the first step runs: a rebuild in which nothing does, does without. */
export function createExplainer(explained: Explained): Explainer {
  let isNeeded = false;
  const telling = lazy(async () => (await import("./explanations.js")).openExplanations(explained));
  // That a step can't be explained fails no build.
  const quietly = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch {
      // What is damaged or full is told by whoever needs it.
    }
  };
  return {
    missed: (account, context) =>
      quietly(async () => {
        isNeeded = true;
        await (await telling()).explain(account, context);
      }),
    remember: (job) =>
      quietly(async () => {
        const { engine, request, inputs, signal } = explained;
        const place = buildPlace(request, inputs);
        const state = stateOf(explained, place, job);
        const isRecalled = async (of: string) => recallBuild(engine.database, place, of, { signal });
        // Also what was cached as a whole is what the next build is compared with, where it is another one than the last.
        if (!isNeeded && state !== undefined && (await isRecalled(state))) return;
        await (await telling()).remember(job, state);
      }),
  };
}

/** What tells the build from others of the same place: what was asked for, where from, and what that was made of; undefined of one that failed. */
function stateOf(
  { images, inputs }: Explained,
  { text }: BuildPlace,
  job: Job<OpNode, FileResult>,
): Digest | undefined {
  if (job.failure !== undefined) return undefined;
  const accounts = job.accounts();
  const keys = new Map(accounts.map(({ vertex, key }) => [vertex.digest, key]));
  const results = images.map(({ definition: { root } }) =>
    root ? [root.digest, root.index, keys.get(root.digest)] : [],
  );
  // What is read of contexts may be other files although what is made of them in the end is the same.
  const isContext = (id: Digest) => images.some(({ definition }) => isDirectory(definition.nodes.get(id)?.op));
  const readers = accounts.filter(({ inputs: of }) => of.some(({ account }) => isContext(account.vertex.digest)));
  const read = readers.map(({ vertex, key }) => `${vertex.digest} ${key}`).sort();
  // The main one is told by the place.
  const named = [...inputs.directories].filter(([name]) => name !== MAIN_CONTEXT);
  return digestOf(JSON.stringify([results, read, named, text]));
}

function isDirectory(op: OpNode["op"] | undefined): boolean {
  return op?.kind === "source" && op.identifier.startsWith("local:");
}
