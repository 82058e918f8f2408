import path from "node:path";
import { canonicalJson, digestOf, EngineError } from "../base/index.js";
import type { Chown, CopyAction, FileAction, FileOp, OpNode } from "../llb/index.js";
import type { FileSource, Selector, Tree, Workspace } from "../snapshot/index.js";
import type { CacheMap, InputKey, Op, OpContext } from "../solver/index.js";
import type { OpEnvironment } from "./environment.js";
import { ensureTree } from "./pull.js";
import { createResult, type FileResult } from "./result.js";
import { contentInput } from "./selection.js";

/** The op of COPY, ADD, WORKDIR and the like: changes files in order, in one layer per result. */
export function createFileOp(node: OpNode & { readonly op: FileOp }, environment: OpEnvironment): Op<FileResult> {
  return {
    cacheMap: async () => cacheMapOf(node, environment),
    exec: async (inputs, context) => {
      const run = new FileRun(node.op, inputs, { environment, context });
      try {
        return await run.all();
      } finally {
        await run.dispose();
      }
    },
  };
}

/** A source counts by what is copied of it; what is changed, and where owners are looked up, counts by its key. */
function cacheMapOf(
  { op, inputs: edges, platform }: OpNode & { readonly op: FileOp },
  environment: OpEnvironment,
): CacheMap<FileResult> {
  const selectors = new Map<number, Selector[]>();
  const whole = new Set<number>();
  for (const { input, secondaryInput, action } of op.actions) {
    whole.add(input);
    for (const index of ownerInputs(action)) whole.add(index);
    if (action.kind === "copy" && secondaryInput >= 0)
      selectors.set(secondaryInput, [...(selectors.get(secondaryInput) ?? []), selectorOf(action)]);
  }
  const byContent = (index: number): boolean => selectors.has(index) && !whole.has(index);
  const inputs = edges.map(
    (_, index): InputKey<FileResult> => (byContent(index) ? contentInput(selectors.get(index) ?? [], environment) : {}),
  );
  const actions = op.actions.map((entry) => ({
    ...entry,
    action: identityOf(entry.action, byContent(entry.secondaryInput)),
  }));
  const preimage = { file: actions, platform };
  const outputs = Math.max(...op.actions.map(({ output }) => output)) + 1;
  return { definition: digestOf(canonicalJson(preimage)), preimage, inputs, outputs, kept: true };
}

/** What of an action counts: where a copy reads from lies in the content, but for the last name, which may become the file's. */
function identityOf(action: FileAction["action"], byContent: boolean): unknown {
  if (action.kind === "mkfile") return { ...action, data: digestOf(action.data) };
  if (action.kind === "copy" && byContent) return { ...action, src: path.posix.basename(action.src) };
  return action;
}

function ownerInputs(action: FileAction["action"]): number[] {
  const owner = "owner" in action ? action.owner : undefined;
  return [owner?.user, owner?.group].flatMap((name) => (name?.kind === "name" ? [name.input] : []));
}

function selectorOf(action: CopyAction): Selector {
  return {
    path: action.src,
    followSymlink: action.followSymlink,
    wildcard: action.allowWildcard,
    allowEmptyWildcard: action.allowEmptyWildcard,
    includes: action.includePatterns ?? [],
    excludes: action.excludePatterns ?? [],
    required: action.requiredPaths ?? [],
    ...(action.mode === undefined ? {} : { ignoreMode: true }),
    ...(action.modeStr ? { modeChange: action.modeStr } : {}),
    ...(action.owner === undefined ? {} : { ignoreOwner: true }),
  };
}

/** What an action left: a layer still being made, or a finished tree. */
type Made = { readonly workspace: Workspace } | { readonly tree: Tree };

class FileRun {
  readonly #op: FileOp;
  readonly #inputs: readonly FileResult[];
  readonly #environment: OpEnvironment;
  readonly #context: OpContext;
  readonly #made: Made[] = [];
  readonly #open = new Set<Workspace>();

  constructor(
    op: FileOp,
    inputs: readonly FileResult[],
    { environment, context }: { environment: OpEnvironment; context: OpContext },
  ) {
    this.#op = op;
    this.#inputs = inputs;
    this.#environment = environment;
    this.#context = context;
  }

  async all(): Promise<readonly FileResult[]> {
    for (const action of this.#op.actions) this.#made.push({ workspace: await this.#apply(action) });
    const outputs: FileResult[] = [];
    for (const [i, { output }] of this.#op.actions.entries()) {
      if (output >= 0)
        outputs[output] = createResult({ kind: "tree", tree: await this.#finished(i) }, this.#environment);
    }
    return outputs;
  }

  async dispose(): Promise<void> {
    for (const workspace of this.#open) await this.#environment.layers.abandon(workspace);
  }

  async #apply({ input, secondaryInput, action }: FileAction): Promise<Workspace> {
    const { plane } = this.#environment;
    const { signal } = this.#context;
    const workspace = await this.#workspaceOn(input);
    const source = await this.#sourceOf(secondaryInput);
    const owner: Chown | undefined = "owner" in action ? action.owner : undefined;
    const users = await this.#namesIn(owner?.user);
    const groups = await this.#namesIn(owner?.group);
    const affinity = source?.kind === "context" ? source.scanId : undefined;
    await plane.run("applyFileAction", { workspace, action, source, users, groups }, { signal, affinity });
    return workspace;
  }

  /** The layer that an action works in: that of the action before, if nobody else wants it as it is, else a new one. */
  async #workspaceOn(input: number): Promise<Workspace> {
    const earlier = input - this.#inputs.length;
    const made = this.#made[earlier];
    if (made && "workspace" in made && this.#isLastUse(earlier)) return made.workspace;
    const tree = input < 0 ? [] : earlier >= 0 ? await this.#finished(earlier) : this.#input(input).tree;
    await ensureTree(tree, this.#environment, this.#context);
    const workspace = await this.#environment.layers.create(tree);
    this.#open.add(workspace);
    return workspace;
  }

  #isLastUse(earlier: number): boolean {
    const index = earlier + this.#inputs.length;
    const { output } = this.#op.actions[earlier] ?? { output: 0 };
    const uses = this.#op.actions.filter((action) => action.input === index || action.secondaryInput === index);
    return output < 0 && uses.length === 1;
  }

  async #sourceOf(index: number): Promise<FileSource | undefined> {
    if (index < 0) return undefined;
    const earlier = index - this.#inputs.length;
    if (earlier >= 0) return { kind: "tree", tree: await this.#finished(earlier) };
    const { source } = this.#input(index);
    if (source.kind === "tree") await ensureTree(source.tree, this.#environment, this.#context);
    return source;
  }

  async #namesIn(name: Chown["user"]): Promise<Tree | undefined> {
    if (name?.kind !== "name" || name.input < 0) return undefined;
    const { tree } = this.#input(name.input);
    await ensureTree(tree, this.#environment, this.#context);
    return tree;
  }

  #input(index: number): FileResult {
    const result = this.#inputs[index];
    if (!result) throw new EngineError("internal", `a file op has no input ${index}`);
    return result;
  }

  async #finished(index: number): Promise<Tree> {
    const made = this.#made[index];
    if (!made) throw new EngineError("internal", `a file op has no action ${index}`);
    if ("tree" in made) return made.tree;
    const tree = await this.#environment.layers.commit(made.workspace, { signal: this.#context.signal });
    this.#open.delete(made.workspace);
    this.#made[index] = { tree };
    return tree;
  }
}
