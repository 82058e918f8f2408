import fc from "fast-check";
import {
  COPIED,
  DESTINATIONS,
  FLAGS,
  type Node,
  type Stage,
  type State,
  type Step,
  TAKEN,
  type Tree,
} from "./cache-model.js";

export type Edit =
  | { readonly edit: "write"; readonly path: string; readonly text: string }
  | { readonly edit: "chmod"; readonly path: string; readonly mode: number }
  | { readonly edit: "link"; readonly path: string; readonly target: string }
  | { readonly edit: "delete"; readonly path: string }
  | { readonly edit: "touch" | "move" }
  | { readonly edit: "argument"; readonly version: string }
  | { readonly edit: "step"; readonly stage: number; readonly at: number; readonly step: Step }
  | { readonly edit: "back"; readonly builds: number };

const FILES = ["a", "b", "d/x", "d/y", "d/s/z"];
const text = fc.constantFrom("0", "1", "2");
const to = fc.constantFrom(...DESTINATIONS);
const stageNumber = fc.nat(2);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("copy" as const),
      source: fc.constantFrom(...COPIED),
      flag: fc.constantFrom(...FLAGS),
      to,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("take" as const),
      stage: stageNumber,
      source: fc.constantFrom(...TAKEN),
      to,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("join", "remove", "tell", "peek") }) },
  fc.record({ kind: fc.constant("look" as const), stage: stageNumber }),
  fc.record({ kind: fc.constant("env" as const), value: text }),
);

export const stages: fc.Arbitrary<readonly Stage[]> = fc.array(
  fc.record({ on: fc.nat(2), steps: fc.array(step, { minLength: 1, maxLength: 4 }) }),
  { minLength: 1, maxLength: 3 },
);

const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ edit: fc.constant("write" as const), path: fc.constantFrom(...FILES), text }) },
  fc.record({
    edit: fc.constant("chmod" as const),
    path: fc.constantFrom(...FILES, "d", "d/s"),
    mode: fc.constantFrom(0o700, 0o755, 0o750),
  }),
  fc.oneof(
    fc.record({ edit: fc.constant("link" as const), path: fc.constant("k"), target: fc.constantFrom("d", "d/s", "a") }),
    fc.record({ edit: fc.constant("link" as const), path: fc.constant("d/s/l"), target: fc.constantFrom("z", "../x") }),
  ),
  fc.record({ edit: fc.constant("delete" as const), path: fc.constantFrom(...FILES) }),
  fc.record({ edit: fc.constantFrom("touch", "move") }),
  fc.record({ edit: fc.constant("argument" as const), version: text }),
  { weight: 3, arbitrary: fc.record({ edit: fc.constant("step" as const), stage: stageNumber, at: fc.nat(3), step }) },
  { weight: 2, arbitrary: fc.record({ edit: fc.constant("back" as const), builds: fc.nat(3) }) },
);

export const history = fc.array(fc.array(edit, { minLength: 1, maxLength: 2 }), { minLength: 2, maxLength: 6 });

export const FIRST_FILES: Tree = new Map<string, Node>([
  ["a", { type: "file", mode: 0o644, text: "0", uid: 0 }],
  ["b", { type: "file", mode: 0o644, text: "1", uid: 0 }],
  ["d", { type: "directory", mode: 0o755, uid: 0 }],
  ["d/x", { type: "file", mode: 0o644, text: "0", uid: 0 }],
  ["d/y", { type: "file", mode: 0o600, text: "2", uid: 0 }],
  ["d/s", { type: "directory", mode: 0o755, uid: 0 }],
  ["d/s/z", { type: "file", mode: 0o644, text: "1", uid: 0 }],
  ["d/s/l", { type: "link", target: "z", uid: 0 }],
  ["k", { type: "link", target: "d", uid: 0 }],
]);

export function edited(state: State, edit: Exclude<Edit, { readonly edit: "back" }>): State {
  const withNode = (name: string, node: Node) => ({ ...state, files: new Map([...state.files, [name, node]]) });
  switch (edit.edit) {
    case "write": {
      const old = state.files.get(edit.path);
      return withNode(edit.path, { type: "file", mode: 0o644, uid: 0, ...old, text: edit.text } as Node);
    }
    case "chmod": {
      const old = state.files.get(edit.path);
      return old === undefined || old.type === "link" ? state : withNode(edit.path, { ...old, mode: edit.mode });
    }
    case "link":
      return withNode(edit.path, { type: "link", target: edit.target, uid: 0 });
    case "delete":
      return { ...state, files: new Map([...state.files].filter(([name]) => name !== edit.path)) };
    case "touch":
      return state;
    case "move":
      return { ...state, moved: !state.moved };
    case "argument":
      return { ...state, version: edit.version };
    case "step": {
      const change = (steps: readonly Step[]) => steps.map((step, n) => (n === edit.at ? edit.step : step));
      const stages = state.stages.map((stage, n) =>
        n === edit.stage ? { ...stage, steps: change(stage.steps) } : stage,
      );
      return { ...state, stages };
    }
  }
}
