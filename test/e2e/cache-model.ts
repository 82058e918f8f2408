/** A file, a directory or a link, with what a content key tells of it. */
export type Node =
  | { readonly type: "file"; readonly mode: number; readonly text: string; readonly uid: number }
  | { readonly type: "directory"; readonly mode: number; readonly uid: number }
  | { readonly type: "link"; readonly target: string; readonly uid: number };

/** By path below a root, which is not in it. */
export type Tree = ReadonlyMap<string, Node>;

export const COPIED = ["a", "b", "d", "k", ".", "d/*", "d/s"] as const;
export const FLAGS = ["", "--chmod=700 ", "--chown=1:2 "] as const;
export const TAKEN = ["/w", "/w/p", "/w/p/", "/w/p/a"] as const;
export const DESTINATIONS = ["p", "q"] as const;

export type Step =
  | {
      readonly kind: "copy";
      readonly source: (typeof COPIED)[number];
      readonly flag: (typeof FLAGS)[number];
      readonly to: string;
    }
  | { readonly kind: "take"; readonly stage: number; readonly source: (typeof TAKEN)[number]; readonly to: string }
  | { readonly kind: "join" | "remove" | "tell" | "peek" }
  | { readonly kind: "look"; readonly stage: number }
  | { readonly kind: "env"; readonly value: string };

export interface Stage {
  /** The stage it stands on, or the base image where none comes before it. */
  readonly on: number;
  readonly steps: readonly Step[];
}

/** All that one build is made of. */
export interface State {
  readonly files: Tree;
  readonly stages: readonly Stage[];
  readonly version: string;
  /** Which of two directories holds the context. */
  readonly moved: boolean;
}
const JOINED = ["p/a", "p/x", "q/x", "q/s/z", "p/p/a"];

function wordsOf(step: Step, stage: number): string {
  switch (step.kind) {
    case "copy":
      return `COPY ${step.flag}${step.source} /w/${step.to}/`;
    case "take":
      return stage === 0 ? "RUN true" : `COPY --from=s${step.stage % stage} ${step.source} /w/${step.to}/`;
    case "join":
      return `RUN for i in ${JOINED.join(" ")}; do if [ -f /w/$i ]; then cat /w/$i >> /w/o; fi; done`;
    case "remove":
      return "RUN rm -rf /w/p/s /w/q/a";
    case "tell":
      return 'RUN echo "$V$E" >> /w/o';
    case "peek":
      return "RUN --mount=type=bind,source=d,target=/m if [ -f /m/x ]; then cat /m/x >> /w/o; fi";
    case "look": {
      const from = stage === 0 ? "base,source=/etc" : `s${step.stage % stage},source=/w`;
      return `RUN --mount=type=bind,from=${from},target=/m if [ -f /m/o ]; then cat /m/o >> /w/o; fi`;
    }
    case "env":
      return `ENV E=${step.value}`;
  }
}

/** Which stage a stage stands on. */
const baseOf = ({ on }: Stage, n: number): number | undefined =>
  n === 0 || on % (n + 1) === n ? undefined : on % (n + 1);

export function dockerfileOf({ stages }: State): string {
  const written = stages.map((stage, n) => {
    const base = baseOf(stage, n);
    const begins = base === undefined ? "FROM base AS s" : `FROM s${base} AS s`;
    const makes = base === undefined ? ["WORKDIR /w/p", "WORKDIR /w/q"] : [];
    return [`${begins}${n}`, "ARG V", ...makes, ...stage.steps.map((step) => wordsOf(step, n))].join("\n");
  });
  return [...written, `LABEL version=$V`, ""].join("\n");
}

/** What a build makes, and what each of its steps is made of, by stage and number. */
export interface Model {
  readonly tree: Tree;
  readonly identities: ReadonlyMap<string, string>;
}

interface ModelStage {
  readonly tree: Tree;
  readonly identity: string;
  readonly env: string;
}

export function identityIn(model: Model, name: string): string | undefined {
  const [, stage, number] = /^\[(\S+) (\d+)\/\d+\]/.exec(name) ?? [];
  return model.identities.get(`${stage} ${number}`);
}

/** The build of STATE, done by hand; undefined where a file is copied that is not there. */
export function modelOf(state: State): Model | undefined {
  const identities = new Map<string, string>();
  const done: ModelStage[] = [];
  const needed = neededOf(state.stages);
  for (const [n, stage] of state.stages.entries()) {
    const base = baseOf(stage, n);
    let at: ModelStage | undefined = base === undefined ? FRESH_STAGE : done[base];
    // A stage that nobody needs is not built.
    if (!needed.has(n)) {
      done.push(FRESH_STAGE);
      continue;
    }
    let number = 0;
    const name = (identity: string) => {
      number++;
      identities.set(`s${n} ${number}`, identity);
    };
    if (base === undefined) for (const made of ["p", "q"]) name(`WORKDIR ${made}`);
    for (const step of stage.steps) {
      if (at === undefined) return undefined;
      const before: ModelStage = at;
      at = after(step, { before, state, done, stage: n });
      if (at && step.kind !== "env") name(at.identity);
    }
    if (at === undefined) return undefined;
    done.push(at);
  }
  return { tree: done.at(-1)?.tree ?? FRESH_TREE, identities };
}

const FRESH_TREE: Tree = new Map<string, Node>([
  ["p", { type: "directory", mode: 0o755, uid: 0 }],
  ["q", { type: "directory", mode: 0o755, uid: 0 }],
]);
const FRESH_STAGE: ModelStage = { tree: FRESH_TREE, identity: "base", env: "" };

function neededOf(stages: readonly Stage[]): ReadonlySet<number> {
  const needed = new Set<number>();
  const need = (n: number): void => {
    const stage = stages[n];
    if (stage === undefined || needed.has(n)) return;
    needed.add(n);
    const base = baseOf(stage, n);
    if (base !== undefined) need(base);
    for (const step of stage.steps) if ((step.kind === "take" || step.kind === "look") && n > 0) need(step.stage % n);
  };
  need(stages.length - 1);
  return needed;
}

interface Place {
  readonly before: ModelStage;
  readonly state: State;
  readonly done: readonly ModelStage[];
  readonly stage: number;
}

/** A stage after one more step. */
function after(step: Step, { before, state, done, stage }: Place): ModelStage | undefined {
  const { tree, env } = before;
  const words = wordsOf(step, stage);
  const become = (tree: Tree, made: unknown): ModelStage => ({
    tree,
    identity: JSON.stringify([words, before.identity, made]),
    env,
  });
  const appended = (more: string): Tree => {
    const old = tree.get("o");
    if (more === "") return tree;
    return new Map([
      ...tree,
      ["o", { type: "file", mode: 0o644, uid: 0, text: (old?.type === "file" ? old.text : "") + more }],
    ]);
  };
  const textAt = (from: Tree, name: string): string => {
    const node = from.get(name);
    return node?.type === "file" ? node.text : "";
  };
  const running = [state.version, env];
  switch (step.kind) {
    case "copy": {
      const selected = selectedBy(step.source, state.files);
      if (selected === undefined) return undefined;
      const flags = { mode: step.flag.includes("chmod") ? 0o700 : undefined, uid: step.flag.includes("chown") ? 1 : 0 };
      const becomes = placed(tree, selected.tree, step.to, flags);
      // What the flags set of a file is the same whatever it was.
      const counts = entriesOf(selected.counts).map(([name, node]) => [name, flagged(node, flags)]);
      return become(becomes, counts);
    }
    case "take": {
      if (stage === 0) return become(tree, running);
      const from = done[step.stage % stage]?.tree ?? FRESH_TREE;
      const inner = step.source.replace(/^\/w\/?/, "").replace(/\/$/, "");
      const node = from.get(inner);
      if (inner !== "" && node === undefined) return undefined;
      const taken = node?.type === "file" ? new Map([["a", node]]) : below(from, inner);
      const counts = [inner === "" ? undefined : node, ...entriesOf(taken)];
      return become(placed(tree, taken, step.to, {}), counts);
    }
    case "join":
      return become(appended(JOINED.map((name) => textAt(tree, name)).join("")), running);
    case "remove":
      return become(
        new Map([...tree].filter(([name]) => name !== "q/a" && name !== "p/s" && !name.startsWith("p/s/"))),
        running,
      );
    case "tell":
      return become(appended(`${state.version}${env}\n`), running);
    case "peek":
      return become(appended(textAt(state.files, "d/x")), [
        running,
        entriesOf(below(state.files, "d")),
        state.files.get("d"),
      ]);
    case "look": {
      const from = stage === 0 ? new Map<string, Node>() : (done[step.stage % stage]?.tree ?? FRESH_TREE);
      return become(appended(textAt(from, "o")), [running, entriesOf(from)]);
    }
    case "env":
      return { ...before, env: step.value };
  }
}

/** What COPY takes of the context: what it places, and what of it counts. */
function selectedBy(
  source: (typeof COPIED)[number],
  files: Tree,
): { readonly tree: Tree; readonly counts: Tree } | undefined {
  const of = (name: string) => new Map([...files].filter(([each]) => each === name || each.startsWith(`${name}/`)));
  switch (source) {
    case ".":
      return { tree: files, counts: files };
    case "d":
    case "d/s":
      return { tree: below(files, source), counts: of(source) };
    case "d/*": {
      const inner = below(files, "d");
      const merged = [...inner].map(([name, node]): [string, Node] => [name.replace(/^s\//, ""), node]);
      return { tree: new Map(merged.filter(([name]) => name !== "s")), counts: of("d") };
    }
    case "k": {
      const link = files.get("k");
      const target = link?.type === "link" ? link.target : "";
      const node = files.get(target);
      if (link === undefined || node === undefined) return undefined;
      const counts = new Map([["k", link], ...of(target)]);
      return { tree: node.type === "file" ? new Map([["k", node]]) : below(files, target), counts };
    }
    default: {
      const node = files.get(source);
      return node && { tree: new Map([[source, node]]), counts: of(source) };
    }
  }
}

/** What lies below a directory of a tree, by path from there. */
function below(tree: Tree, directory: string): Tree {
  if (directory === "") return tree;
  const prefix = `${directory}/`;
  return new Map(
    [...tree].filter(([name]) => name.startsWith(prefix)).map(([name, node]) => [name.slice(prefix.length), node]),
  );
}

interface Flags {
  readonly mode?: number | undefined;
  /** Absent: it stays whose it is. */
  readonly uid?: number;
}

/** TREE with MORE below TO, over what is there. */
function placed(tree: Tree, more: Tree, to: string, flags: Flags): Tree {
  return new Map([
    ...tree,
    ...[...more].map(([name, node]): [string, Node] => [`${to}/${name}`, flagged(node, flags)]),
  ]);
}

function flagged(node: Node, { mode, uid = node.uid }: Flags): Node {
  const owned = { ...node, uid };
  return mode === undefined || owned.type === "link" ? owned : { ...owned, mode };
}

export function entriesOf(tree: Tree): readonly (readonly [string, Node])[] {
  return [...tree].sort(([a], [b]) => (a < b ? -1 : 1));
}
