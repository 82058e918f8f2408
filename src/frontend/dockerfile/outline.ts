import type { AbortOptions } from "../../base/index.js";
import type { SourceRange } from "../../llb/index.js";
import type { FrontendBridge, FrontendRequest } from "../frontend.js";
import type { ArgInstruction, DockerfileNode, Range, StageNode } from "./ast.js";
import { predefinedArgs } from "./convert.js";
import { descriptionOf } from "./descriptions.js";
import { expandWord } from "./expand.js";
import type { FactsDraft, StageFactsDraft } from "./facts.js";
import { sourceRange } from "./place.js";
import { convertFirst, readDockerfile } from "./solve.js";

/** What a target can be given. Each in the order of the file. */
export interface Outline {
  /** The target's name in lower case, undefined without AS. */
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
}

/** A build argument that the target, or what it is made of, uses. */
export interface OutlineArg {
  readonly name: string;
  /** What it is in this build, --build-arg over the default; undefined where it has no value. */
  readonly value: string | undefined;
  /** From the comment above it. */
  readonly description: string | undefined;
  readonly location: SourceRange;
}

/** A secret or an ssh agent that a step of the target, or of what it is made of, mounts. */
export interface OutlineMount {
  readonly name: string;
  readonly required: boolean;
  readonly location: SourceRange;
}

/**
 * The build arguments, secrets and ssh agents of a target. Nothing is run, but images are resolved; warnings of the checks go to
 * BRIDGE. Throws a DiagnosticError where the target can't be built.
 */
export async function outlineDockerfile(
  request: FrontendRequest,
  bridge: FrontendBridge,
  options: AbortOptions = {},
): Promise<Outline> {
  const parsed = readDockerfile(request);
  const { facts } = await convertFirst(request, parsed, bridge, options);
  return new OutlineReader(request, parsed.dockerfile, facts).read();
}

/** An ARG, and the global ones that its default is made of. */
interface Declared {
  readonly key: string;
  readonly value: string | undefined;
  readonly instruction: ArgInstruction;
  readonly needs: ReadonlySet<string>;
}

class OutlineReader {
  readonly #request: FrontendRequest;
  readonly #dockerfile: DockerfileNode;
  readonly #facts: FactsDraft;
  readonly #variables: Map<string, string>;
  readonly #globals: ReadonlyMap<string, Declared>;

  constructor(request: FrontendRequest, dockerfile: DockerfileNode, facts: FactsDraft) {
    this.#request = request;
    this.#dockerfile = dockerfile;
    this.#facts = facts;
    this.#variables = predefinedArgs(request, dockerfile, request.platforms[0] ?? request.buildPlatform);
    this.#globals = this.#declareGlobals();
  }

  read(): Outline {
    const { target } = this.#request;
    const { stages } = this.#dockerfile;
    const node = target
      ? stages.findLast(({ from }) => from.name?.text.toLowerCase() === target.toLowerCase())
      : stages.at(-1);
    const args = new Map<string, Declared>();
    const secrets = new Map<string, OutlineMount>();
    const ssh = new Map<string, OutlineMount>();
    for (const stage of node ? this.#partsOf(node) : []) {
      for (const declared of this.#argsOf(stage)) keep(args, declared.key, declared);
      for (const { instruction, mount } of this.#factsOf(stage)?.mounts ?? []) {
        if (mount.type !== "secret" && mount.type !== "ssh") continue;
        const found = { name: mount.id, required: mount.required, location: this.#location(instruction.range) };
        keep(mount.type === "secret" ? secrets : ssh, mount.id, found);
      }
    }
    const name = node?.from.name?.text.toLowerCase();
    return {
      name,
      description: descriptionOf(node?.from.comments ?? [], name ?? ""),
      args: inOrder([...args.values()].map((declared) => this.#arg(declared))),
      secrets: inOrder([...secrets.values()]),
      ssh: inOrder([...ssh.values()]),
    };
  }

  /** STAGE and what it is made of: its base first, then what its steps take files from. */
  #partsOf(stage: StageNode, seen = new Set<StageNode>()): ReadonlySet<StageNode> {
    if (seen.has(stage)) return seen;
    seen.add(stage);
    const { parent, sources = [] } = this.#factsOf(stage) ?? {};
    for (const index of [...(parent === undefined ? [] : [parent]), ...sources]) {
      const part = this.#dockerfile.stages[index];
      if (part) this.#partsOf(part, seen);
    }
    return seen;
  }

  /** The ARGs that STAGE uses: those it declares, those in its FROM, and what these are made of. */
  #argsOf(stage: StageNode): readonly Declared[] {
    const known = new Map(this.#globals);
    const used = new Set(this.#usedByFrom(stage));
    for (const { instruction, key, value, inherited } of this.#factsOf(stage)?.args ?? []) {
      if (!inherited) known.set(key, { key, value, instruction, needs: NOTHING });
      used.add(key);
    }
    // A set that grows while it is gone through: what was added is gone through too.
    for (const key of used) for (const need of known.get(key)?.needs ?? NOTHING) used.add(need);
    return [...used].flatMap((key) => known.get(key) ?? []);
  }

  /** The variables in the FROMs of STAGE and of the stages it is built on. */
  #usedByFrom({ from, index }: StageNode): readonly string[] {
    const parent = this.#facts.stages.get(index)?.parent;
    const base = parent === undefined ? undefined : this.#dockerfile.stages[parent];
    const own = [from.image.text, from.platform?.value ?? ""].flatMap((text) => this.#expand(text).set);
    return [...own, ...(base ? this.#usedByFrom(base) : [])];
  }

  #declareGlobals(): ReadonlyMap<string, Declared> {
    const globals = new Map<string, Declared>();
    for (const instruction of this.#dockerfile.globalArgs) {
      for (const { key, value: written } of instruction.args) {
        const given = this.#request.buildArgs.get(key);
        const { value, set } = given === undefined && written !== undefined ? this.#expand(written) : EMPTY;
        // What a default is made of stays needed where a later one of the name builds on it.
        const before = set.includes(key) ? [...(globals.get(key)?.needs ?? NOTHING)] : [];
        const needs = new Set([...set.filter((name) => name !== key), ...before]);
        const result = given ?? value;
        if (result !== undefined) this.#variables.set(key, result);
        globals.set(key, { key, value: result, instruction, needs });
      }
    }
    return globals;
  }

  /** The value of TEXT, and the variables in it that are set. */
  #expand(text: string): { readonly value: string | undefined; readonly set: readonly string[] } {
    const result = expandWord(text, this.#variables, this.#dockerfile.directives.escape);
    const set = result.consulted.filter((name) => !result.unset.includes(name));
    return { value: result.ok ? result.value : undefined, set };
  }

  #arg({ key, value, instruction }: Declared): OutlineArg {
    const description = descriptionOf(instruction.comments, key);
    return { name: key, value, description, location: this.#location(instruction.range) };
  }

  #factsOf({ index }: StageNode): StageFactsDraft | undefined {
    return this.#facts.stages.get(index);
  }

  #location(range: Range): SourceRange {
    return sourceRange(this.#request.dockerfile.name, range);
  }
}

const NOTHING: ReadonlySet<string> = new Set();
const EMPTY = { value: undefined, set: [] };

/** The first of a name counts: the target's own goes over that of what it is made of. */
function keep<T>(found: Map<string, T>, name: string, value: T): void {
  if (!found.has(name)) found.set(name, value);
}

function inOrder<T extends { readonly location: SourceRange }>(items: readonly T[]): readonly T[] {
  return items.toSorted((a, b) => a.location.startLine - b.location.startLine);
}
