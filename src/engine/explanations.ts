import type { Digest } from "../base/index.js";
import { type BuildHistory, openBuildHistory } from "../cache/index.js";
import type { OpNode } from "../llb/index.js";
import type { FileResult, SelectedTrees } from "../ops/index.js";
import type { AccountedInput, Job, OpContext, VertexAccount } from "../solver/index.js";
import { buildPlace } from "./build-place.js";
import type { Explained } from "./explainer.js";
import { listingOf, StepDrafts } from "./step-drafts.js";

/** The steps of a build beside what they were in earlier ones. */
export interface Explanations {
  /** Tells why the vertex is not in the cache, if an earlier build had its stage, as an event of its own. */
  explain(account: VertexAccount, context: OpContext): Promise<void>;
  /** Keeps what this build was made of; STATE tells it from others of its place, and is undefined of one that failed. */
  remember(job: Job<OpNode, FileResult>, state: string | undefined): Promise<void>;
}

export async function openExplanations(explained: Explained): Promise<Explanations> {
  const { database, clock } = explained.engine;
  const drafts = new StepDrafts(explained);
  const place = buildPlace(explained.request, explained.inputs);
  const history = await openBuildHistory({
    database,
    clock,
    place,
    stages: drafts.outlines(),
  });
  return {
    async explain(account, context) {
      await Promise.all(account.inputs.map((input) => describe(input, history, context)));
      addAll(account, history, drafts);
      const miss = history.explain(account.vertex.digest);
      const vertex = account.vertex.digest;
      if (miss) context.progress.emit({ type: "vertex-missed", vertex, at: clock.now(), miss });
    },
    async remember(job, state) {
      const ends = new Map<Digest, "done" | "failed">();
      for (const account of job.accounts()) {
        // What was cached is told of, too: it may change in the next build.
        if (!explained.signal.aborted) await describeQuietly(account, history, explained.signal);
        history.add(drafts.draftOf(account));
        const isDone = account.state === "ran" || account.state === "cached";
        if (isDone) ends.set(account.vertex.digest, "done");
      }
      const failed = explained.signal.aborted ? undefined : job.failure?.vertex.digest;
      if (failed !== undefined) ends.set(failed, "failed");
      await history.save({ state, outcome: (id) => ends.get(id) });
    },
  };
}

/** Tells the history what the inputs of a step hold when the build has ended; what can't be looked at any more is left out. */
async function describeQuietly(
  { vertex, inputs }: VertexAccount,
  history: BuildHistory,
  signal: AbortSignal,
): Promise<void> {
  const context = { vertex, signal, progress: { emit() {} } };
  await Promise.allSettled(inputs.map((input) => describe(input, history, context)));
}

/** Tells the history what an input's content holds, unless it knows. */
async function describe(input: AccountedInput, history: BuildHistory, context: OpContext): Promise<void> {
  const listing = listingOf(input);
  if (listing === undefined || history.knowsListing(listing)) return;
  const selected = ((await input.describe(context)) ?? []) as SelectedTrees;
  const trees = selected.flatMap(({ tree }) => tree ?? []);
  if (trees.length > 0 && trees.length === selected.length) history.addListing(listing, trees);
}

/** Tells of a vertex and of all that it is made from and that nothing was told of; no recursion, so that depth has no bound. */
function addAll(account: VertexAccount, history: BuildHistory, drafts: StepDrafts): void {
  const pending = [account];
  const expanded = new Set<VertexAccount>();
  for (let top = pending.at(-1); top !== undefined; top = pending.at(-1)) {
    if (!expanded.has(top)) {
      expanded.add(top);
      for (const input of top.inputs) if (!history.has(input.account.vertex.digest)) pending.push(input.account);
      continue;
    }
    pending.pop();
    if (top === account || !history.has(top.vertex.digest)) history.add(drafts.draftOf(top));
  }
}
