import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { canonicalJson, type Digest, digestOf, type MissCause } from "../../src/base/index.js";
import {
  type BuildHistory,
  cacheMigrations,
  historyMigrations,
  openBuildHistory,
  recallBuild,
  type StepDraft,
} from "../../src/cache/index.js";
import { TreeSketch } from "../../src/snapshot/content-tree.js";
import { type Database, openDatabase } from "../../src/store/index.js";

/** What may be edited: texts by name. `file:a`, `ARG:V`, `image`, and `command:N` of the step N. */
type State = Readonly<Record<string, string>>;

/** A step: a process that sees variables, or a copy of files or of what an earlier stage has made. */
interface Step {
  readonly variables: readonly string[];
  readonly files: readonly string[];
  readonly from: number;
  /** Begins a stage, on the base image. */
  readonly begins: boolean;
}

const FILES = ["a", "d/b", "d/e/c"];
const VARIABLES = ["V", "W"];
const steps = fc.array(
  fc.record({
    variables: fc.subarray(VARIABLES),
    files: fc.subarray(FILES),
    from: fc.nat(12),
    begins: fc.boolean().map((each) => each),
  }),
  { minLength: 2, maxLength: 9 },
);
const edits = fc.array(fc.array(fc.record({ name: fc.nat(20), value: fc.nat(3) }), { minLength: 1, maxLength: 2 }), {
  minLength: 1,
  maxLength: 6,
});

let directory: string;
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-history-"));
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

test("the causes that are named are what was edited, and every step that runs has one", async () => {
  await fc.assert(
    fc.asyncProperty(steps, edits, async (plan, history) => {
      const database = await openDatabase(path.join(directory, `${names++}.db`), [
        ...cacheMigrations,
        ...historyMigrations,
      ]);
      try {
        const cached = new Set<string>();
        const states: State[] = [];
        let state = initial(plan);
        for (const changes of [[], ...history]) {
          const keys = Object.keys(state);
          for (const { name, value } of changes) {
            const key = keys[name % keys.length] ?? "";
            state = { ...state, [key]: `${value}` };
          }
          const told = await build({ plan, state, cached, database });
          if (states.length > 0) for (const causes of told) expectTrue(causes, state, states);
          states.push(state);
        }
      } finally {
        database.close();
      }
    }),
    { numRuns: 50 },
  );
});

let names = 0;

function initial(plan: readonly Step[]): State {
  const commands = plan.map((_, n) => [`command:${n}`, "0"] as const);
  const files = FILES.map((name) => [`file:${name}`, "0"] as const);
  const variables = VARIABLES.map((name) => [`ARG:${name}`, "0"] as const);
  return Object.fromEntries([...files, ...variables, ["image", "0"], ...commands]);
}

/** All causes are differences from one earlier state, and there is one. */
function expectTrue(causes: readonly MissCause[], state: State, earlier: readonly State[]): void {
  const edited = causes.map(editOf);
  expect(edited.length).toBeGreaterThan(0);
  const explains = (before: State) => edited.every((name) => name !== undefined && before[name] !== state[name]);
  expect(earlier.some(explains), `${JSON.stringify(causes)} of ${JSON.stringify(state)}`).toBe(true);
}

function editOf(cause: MissCause): string | undefined {
  switch (cause.kind) {
    case "file":
      return `file:${cause.path}`;
    case "variable":
      return `ARG:${cause.name}`;
    case "image":
      return "image";
    case "instruction":
      return `command:${/^\d+/.exec(cause.to ?? "")?.[0]}`;
    default:
      return undefined;
  }
}

interface Build {
  readonly plan: readonly Step[];
  readonly state: State;
  readonly cached: Set<string>;
  readonly database: Database;
}

/** Builds the last stage; of every step that runs what is told of it. */
async function build({ plan, state, cached, database }: Build): Promise<readonly (readonly MissCause[])[]> {
  const drafts = draftsOf(plan, state);
  const stages = new Map<string, { id: Digest; text: string; name: string }[]>();
  for (const { stage, draft } of drafts) {
    if (!draft.isStep) continue;
    stages.set(stage, [...(stages.get(stage) ?? []), { id: draft.id, text: draft.text ?? "", name: draft.name }]);
  }
  const outlines = [...stages].map(([stage, all]) => ({ stage, base: undefined, steps: all }));
  const place = { context: "/context", dockerfile: "/Dockerfile", text: "" };
  const clock = { now: () => 0 };
  const history = await openBuildHistory({ database, clock, place, stages: outlines });
  addContent(history, drafts, state);
  const told: (readonly MissCause[])[] = [];
  for (const { draft } of drafts) {
    history.add(draft);
    if (!draft.isStep || cached.has(draft.key ?? "")) continue;
    cached.add(draft.key ?? "");
    const miss = history.explain(draft.id);
    if (miss) told.push(miss.causes.map(({ cause }) => cause));
  }
  const made = canonicalJson(state);
  if (told.length > 0 || !(await recallBuild(database, place, made)))
    await history.save({ state: made, outcome: () => "done" });
  return told;
}

function addContent(history: BuildHistory, drafts: readonly Drafted[], state: State): void {
  for (const { files, draft } of drafts) {
    const listing = draft.inputs.find(({ role }) => role === "files")?.listing;
    if (listing === undefined || history.knowsListing(listing)) continue;
    const sketch = new TreeSketch();
    for (const name of files) sketch.add(name, ["file", "644", "0:0", state[`file:${name}`] ?? "", ""]);
    history.addListing(listing, [sketch.finish()]);
  }
}

interface Drafted {
  readonly stage: string;
  readonly files: readonly string[];
  readonly draft: StepDraft;
}

/** The vertices of a build as a solver would account for them: keys of ops and inputs, contents of files and of stages. */
function draftsOf(plan: readonly Step[], state: State): readonly Drafted[] {
  const image = source("image", { kind: "image", reference: "base", digest: digestOf(state.image ?? "") }, state.image);
  const context = source("context", { kind: "context", place: "/context", excludes: [] }, undefined);
  const drafts: Drafted[] = [image, context].map((draft) => ({ stage: "", files: [], draft }));
  const ends: StepDraft[] = [];
  let [stage, base] = [0, image];
  for (const [n, { variables, files, from, begins }] of plan.entries()) {
    if (begins && n > 0) {
      ends.push(base);
      [stage, base] = [stage + 1, image];
    }
    const isRun = files.length === 0;
    const upstream = isRun ? undefined : ends[from % (ends.length + 1)];
    const selected = digestOf(canonicalJson(files.map((name) => [name, state[`file:${name}`]])));
    const other = upstream
      ? {
          role: "stage",
          id: upstream.id,
          index: 0,
          byContent: true,
          content: digestOf(`${upstream.key} made`),
          listing: undefined,
        }
      : { role: "files", id: context.id, index: 0, byContent: true, content: selected, listing: selected };
    const inputs = [
      { role: "base", id: base.id, index: 0, byContent: false, content: undefined, listing: undefined },
      ...(isRun ? [] : [other]),
    ];
    const command = `${n} ${state[`command:${n}`]}`;
    const env = isRun ? variables.map((name) => `${name}=${state[`ARG:${name}`]}`) : [];
    const op = isRun
      ? { exec: { meta: { args: ["sh", "-c", command], env }, mounts: [] } }
      : { file: [{ action: { kind: "copy", dest: command } }] };
    const key = digestOf(canonicalJson([op, base.key, isRun ? "" : other.content]));
    const draft: StepDraft = {
      ...source(`step ${n}`, undefined, undefined),
      id: digestOf(`${n} ${key}`),
      text: `${isRun ? "RUN" : "COPY"} ${command}`,
      key,
      op,
      variables: env.map((entry) => ({ name: entry.slice(0, 1), value: entry.slice(2), variable: "ARG" as const })),
      inputs,
      isStep: true,
      ran: true,
    };
    drafts.push({ stage: `${stage}`, files, draft });
    base = draft;
  }
  return drafts;
}

function source(name: string, note: StepDraft["source"], content: string | undefined): StepDraft {
  const key = content === undefined ? undefined : digestOf(`source ${content}`);
  const nothing = { text: undefined, op: {}, variables: [], inputs: [], isStep: false, forced: undefined };
  return { ...nothing, id: digestOf(name), name, key, source: note, ran: false };
}
