import { expect, test } from "vitest";
import { type Digest, digestOf, type Miss } from "../../src/base/index.js";
import { composeFrame } from "../../src/progress/frame.js";
import { createPlainRenderer, createRawjsonRenderer, missText, type ProgressEvent } from "../../src/progress/index.js";
import { createTrace } from "../../src/progress/trace.js";

const clock = { now: () => 0, after: () => () => {} };
const vertices = ["[1/3] COPY a /", "[2/3] RUN make", "[3/3] RUN test"].map((name) => ({
  name,
  digest: digestOf(name),
  inputs: [],
}));
const [copy, make, check] = vertices as [(typeof vertices)[0], (typeof vertices)[0], (typeof vertices)[0]];
const changed: Miss["causes"][number] = { cause: { kind: "file", path: "a", change: { kind: "content" } } };
const variable: Miss["causes"][number] = {
  cause: { kind: "variable", variable: "ARG", name: "V", from: "1", to: "2" },
};

function ran(vertex: (typeof vertices)[0], ...causes: Miss["causes"]): readonly ProgressEvent[] {
  return [
    { type: "vertex-started", vertex, at: 0 },
    { type: "vertex-missed", vertex: vertex.digest, at: 0, miss: { causes, omitted: 0 } },
    { type: "vertex-completed", vertex: vertex.digest, at: 0, outcome: { kind: "done" } },
  ];
}

const of = (step: { readonly name: string; readonly digest: Digest }) => ({ name: step.name, digest: step.digest });
const EVENTS = [
  ...ran(copy, changed),
  ...ran(make, variable, { ...changed, step: of(copy) }),
  ...ran(check, variable, { ...changed, step: of(copy) }),
];

test("a cause is told once, below the first step that it concerns", () => {
  let text = "";
  const renderer = createPlainRenderer({ write: (part) => (text += part) }, { clock });
  for (const event of EVENTS) renderer.emit(event);
  expect(text.split("\n").filter((line) => line.includes("not cached"))).toEqual([
    "#1 not cached: a changed (content)",
    "#2 not cached: ARG V 1 -> 2; follows from #1",
    "#3 not cached: like #2; follows from #1",
  ]);
});

test("a step that is made once more in a build says why again", () => {
  let text = "";
  const renderer = createPlainRenderer({ write: (part) => (text += part) }, { clock });
  for (const event of [...ran(copy, changed), ...ran(copy, changed)]) renderer.emit(event);
  expect(text).not.toContain("like #1");
});

test("an option of the build is told once, a part of the step's own text by each step", () => {
  const lines = (part: string): readonly string[] => {
    let text = "";
    const renderer = createPlainRenderer({ write: (piece) => (text += piece) }, { clock });
    const cause = { cause: { kind: "instruction", part, from: "a", to: "b" } } as const;
    for (const event of [...ran(make, cause), ...ran(check, cause)]) renderer.emit(event);
    return text.split("\n").filter((line) => line.includes("not cached"));
  };
  expect(lines("--network")).toEqual(["#1 not cached: --network a -> b", "#2 not cached: like #1"]);
  expect(lines("command")).toEqual(["#1 not cached: command a -> b", "#2 not cached: command a -> b"]);
});

test("the live view keeps what tells something new", () => {
  const trace = createTrace();
  for (const event of EVENTS) trace.apply(event);
  const view = { steps: trace.steps, startedAt: 0, now: 0, logLines: 6, color: false, ended: "finished" } as const;
  const lines = composeFrame(view, { columns: 80, rows: 24 }).map((line) => line.trimEnd());
  expect(lines.filter((line) => line.includes("not cached"))).toEqual([
    " => => not cached: a changed (content)",
    " => => not cached: ARG V 1 -> 2; follows from [1/3]",
  ]);
});

test("programs get the causes as they are", () => {
  const lines: string[] = [];
  const renderer = createRawjsonRenderer({ write: (line) => lines.push(line) }, { clock });
  for (const event of EVENTS) renderer.emit(event);
  const misses = lines.flatMap((line) => JSON.parse(line).misses ?? []);
  expect(misses[1]).toMatchObject({
    vertex: make.digest,
    text: "ARG V 1 -> 2; [1/3] COPY a /: a changed (content)",
    causes: [variable, { ...changed, step: of(copy) }],
    omitted: 0,
  });
});

test.each<readonly [string, Miss["causes"][number]]>([
  ["b was a", { cause: { kind: "file", path: "b", change: { kind: "renamed", from: "a" } } }],
  [
    "a is now left out by the ignore file (*.md)",
    { cause: { kind: "file", path: "a", change: { kind: "ignored", rule: "*.md" } } },
  ],
  ["a of context x deleted", { cause: { kind: "file", path: "a", context: "x", change: { kind: "deleted" } } }],
  ["ENV A is new: 1", { cause: { kind: "variable", variable: "ENV", name: "A", to: "1" } }],
  ["ARG TOKEN changed", { cause: { kind: "variable", variable: "ARG", name: "TOKEN" } }],
  [
    "image alpine moved (sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb)",
    { cause: { kind: "image", reference: "alpine", from: `sha256:${"a".repeat(64)}`, to: `sha256:${"b".repeat(64)}` } },
  ],
  ["build context /a -> /b", { cause: { kind: "context", from: "/a", to: "/b" } }],
  ["--no-cache-filter=x", { cause: { kind: "no-cache", stage: "x" } }],
  ["RUN old was removed", { cause: { kind: "step", change: "removed" }, step: { name: "RUN old" } }],
  ["no earlier build had this step at this place", { cause: { kind: "step", change: "moved" } }],
  [
    "[2/3] RUN make gave another result, made from the same (it ran again: its result was pruned)",
    { cause: { kind: "result", reason: { kind: "record", gone: "pruned" } }, step: of(make) },
  ],
])("%s", (text, cause) => {
  expect(missText({ causes: [cause], omitted: 0 })).toBe(text);
});

test("what is not listed is counted", () => {
  expect(missText({ causes: [changed], omitted: 3 })).toBe("a changed (content); 3 more");
});
