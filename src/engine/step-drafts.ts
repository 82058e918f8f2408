import { canonicalJson, type Digest, digestOf, EngineError, redactCredentials } from "../base/index.js";
import type {
  DraftDerivation,
  DraftInput,
  DraftVariable,
  SourceNote,
  StageOutline,
  StepDraft,
} from "../cache/index.js";
import type { Definition, DerivationList, OpMetadata, OpNode, SourceOp } from "../llb/index.js";
import type { AccountedInput, VertexAccount } from "../solver/index.js";
import { realPath } from "./build-place.js";
import { type Derivations, derivationsOf } from "./derivations.js";
import type { Explained } from "./explainer.js";
import { MAIN_CONTEXT } from "./inputs.js";

/** Puts the vertices of a build in the history's words: what the graph says of them, and what the solver found out. */
export class StepDrafts {
  readonly #explained: Omit<Explained, "signal">;
  readonly #lines: readonly string[];
  readonly #secrets: ReadonlySet<string>;
  readonly #derivations = new Map<DerivationList | undefined, Derivations>();

  constructor(explained: Omit<Explained, "signal">) {
    this.#explained = explained;
    this.#lines = explained.inputs.dockerfile.text.split("\n");
    this.#secrets = secretsIn(explained.images.map(({ definition }) => definition));
  }

  /** The steps of every stage in order, but for what they begin with. */
  outlines(): readonly StageOutline[] {
    const stages = new Map<string, { base: StageOutline["base"]; readonly steps: Map<Digest, OutlinedStep> }>();
    for (const { definition } of this.#explained.images) {
      for (const [id, node] of definition.nodes) {
        const metadata = definition.metadata.get(id);
        if (metadata?.step === undefined || node.op.kind === "source") continue;
        const { stage, ordinal, from } = metadata.step;
        const { name } = metadata;
        const outline = stages.get(stage) ?? { base: undefined, steps: new Map() };
        outline.base = from && {
          name: from.name,
          variables: namedVariables(from.variables ?? []),
          secrets: this.#secrets,
        };
        // What is no instruction of this Dockerfile is known by its name but for its place in the stage.
        const text = this.#textOf(node, metadata) ?? name.replace(/^\[[^\]]*\] /, "");
        outline.steps.set(id, { id, ordinal, text, name });
        stages.set(stage, outline);
      }
    }
    return Array.from(stages, ([stage, { base, steps }]) => ({
      stage,
      base,
      steps: [...steps.values()].sort((a, b) => a.ordinal - b.ordinal),
    }));
  }

  draftOf(account: VertexAccount): StepDraft {
    const { vertex, key, preimage, state } = account;
    const { node, metadata } = this.#find(vertex.digest);
    const roles = rolesOf(node);
    const derivations = this.#derivationsOf(metadata?.derivations);
    return {
      id: vertex.digest,
      name: vertex.name,
      text: metadata?.step && this.#textOf(node, metadata),
      key,
      op: preimage,
      variables: variablesOf(node, metadata, derivations.variables),
      settings: derivations.settings,
      choosers: metadata?.choosers && namedVariables(metadata.choosers),
      taken: takenBy(node),
      secrets: this.#secrets,
      source: node.op.kind === "source" ? this.#sourceOf(node.op) : undefined,
      inputs: account.inputs.map((input, i) => draftInput(input, roles[i] ?? `input ${i}`)),
      isStep: metadata?.step !== undefined && node.op.kind !== "source",
      forced: account.ignoresCache ? this.#forcedBy(metadata) : undefined,
      ran: state === "running" || state === "ran",
    };
  }

  /** Steps in a row share a list. */
  #derivationsOf(list: DerivationList | undefined): Derivations {
    const known = this.#derivations.get(list) ?? derivationsOf(list);
    this.#derivations.set(list, known);
    return known;
  }

  #find(id: Digest): { readonly node: OpNode; readonly metadata: OpMetadata | undefined } {
    for (const { definition } of this.#explained.images) {
      const node = definition.nodes.get(id);
      if (node) return { node, metadata: definition.metadata.get(id) };
    }
    throw new EngineError("internal", `no graph holds the vertex ${id}`);
  }

  /** The instruction as it is written; undefined where it is not of this Dockerfile. The two vertices of one instruction have two texts. */
  #textOf({ op }: OpNode, { location, name }: OpMetadata): string | undefined {
    const { name: file } = this.#explained.inputs.dockerfile;
    if (location?.file !== file || name.includes("] ONBUILD ")) return undefined;
    const text = this.#lines
      .slice(location.startLine - 1, location.endLine)
      .join("\n")
      .trim();
    return op.kind === "merge" ? `LINK ${text}` : text;
  }

  #sourceOf({ identifier, attrs }: SourceOp): SourceNote {
    const [, scheme = "", rest = ""] = /^([a-z-]+):\/\/(.*)$/s.exec(identifier) ?? [];
    switch (scheme) {
      case "docker-image":
      case "oci-layout": {
        const [, reference = rest, digest = ""] = /^(.*?)(?:@(sha256:[0-9a-f]{64}))?$/s.exec(rest) ?? [];
        return { kind: "image", reference: scheme === "oci-layout" ? `oci-layout://${reference}` : reference, digest };
      }
      case "local":
        return this.#contextOf(rest, JSON.parse(attrs["local.excludepatterns"] ?? "[]") as string[]);
      default: {
        const checksum = attrs["http.checksum"] ?? attrs["git.checksum"];
        const address = redactCredentials(addressOf(identifier, attrs["git.fullurl"]));
        return { kind: "address", address, ...(checksum === undefined ? {} : { checksum }) };
      }
    }
  }

  #contextOf(name: string, excludes: readonly string[]): SourceNote {
    const { inputs, request } = this.#explained;
    const isMain = name === MAIN_CONTEXT;
    // What came on standard input lies in another directory each time.
    const directory = isMain && typeof request.context !== "string" ? "-" : inputs.directories.get(name);
    const place = directory === undefined || directory === "-" ? (directory ?? name) : realPath(directory);
    return { kind: "context", ...(isMain ? {} : { name }), place, excludes };
  }

  #forcedBy(metadata: OpMetadata | undefined): { readonly stage?: string } {
    const { noCache } = this.#explained.request;
    const stage = metadata?.step?.stage.split(" ", 1)[0];
    return Array.isArray(noCache) && stage !== undefined ? { stage } : {};
  }
}

/** What no vertex of a build may be told by: steps of one image share a set of it. */
function secretsIn(definitions: readonly Definition[]): ReadonlySet<string> {
  const sets = new Set(definitions.flatMap(({ metadata }) => Array.from(metadata.values(), ({ secrets }) => secrets)));
  return new Set([...sets].flatMap((secrets) => [...(secrets ?? [])]));
}

interface OutlinedStep {
  readonly id: Digest;
  readonly ordinal: number;
  readonly text: string;
  readonly name: string;
}

/** What a source was named by: of a repository the whole URL, with the ref and the directory that the identifier has. */
function addressOf(identifier: string, url: string | undefined): string {
  if (url === undefined) return identifier;
  const [, fragment = ""] = /^[^#]*(#.*)$/s.exec(identifier) ?? [];
  return url.includes("#") ? url : url + fragment;
}

/** What a vertex has each of its inputs for, the same in a build in which it has others beside. */
function rolesOf({ op, inputs }: OpNode): readonly string[] {
  switch (op.kind) {
    case "exec":
      return inputs.map((_, i) => {
        const places = op.mounts.filter(({ input }) => input === i).map(({ dest }) => dest);
        return places.includes("/") ? "base" : `mount ${places[0]}`;
      });
    case "file": {
      const bases = new Set(op.actions.map(({ input }) => input));
      let sources = 0;
      return inputs.map((_, i) => (bases.has(i) ? "base" : `source ${sources++}`));
    }
    case "merge":
      return inputs.map((_, i) => (i === 0 ? "base" : `layer ${i}`));
    case "diff":
    case "source":
      return inputs.map((_, i) => `input ${i}`);
  }
}

/** What a copy takes, as its instruction names it. */
function takenBy({ op }: OpNode): readonly string[] {
  if (op.kind !== "file") return [];
  return op.actions.flatMap(({ action }) => {
    if (action.kind !== "copy") return [];
    const place = action.src.replace(/^\//, "");
    const [pattern] = action.includePatterns ?? [];
    if (pattern === undefined) return place || ".";
    return place === "" ? pattern : `${place}/./${pattern}`;
  });
}

function draftInput(input: AccountedInput, role: string): DraftInput {
  const { account, index, byContent, content } = input;
  return { role, id: account.vertex.digest, index, byContent, content, listing: listingOf(input) };
}

/** What the entries of a selection are known by: its content is the same wherever it lies, and whatever of it is left out. */
export function listingOf(input: AccountedInput): Digest | undefined {
  const { byContent, content, selector = "" } = input;
  if (!byContent || content === undefined) return undefined;
  return digestOf(canonicalJson([content, selector, input.followed() ?? []]));
}

/** The environment of a process, else the variables that an instruction names. */
function variablesOf(
  { op }: OpNode,
  metadata: OpMetadata | undefined,
  derivations: ReadonlyMap<string, DraftDerivation | undefined>,
): readonly DraftVariable[] {
  const entries = op.kind === "exec" ? op.meta.env : (metadata?.variables ?? []);
  if (entries.length === 0) return [];
  const args = new Set<string>();
  for (let list = metadata?.args; list; list = list.previous) args.add(list.name);
  return entries.flatMap((entry) => {
    const variable = variableOf(entry, (name) => args.has(name));
    if (isSocketOf(op, variable)) return [];
    const derivation = derivations.get(variable.name);
    const isInherited = derivation === undefined && variable.variable === "ENV" && metadata?.inherited?.has(entry);
    return { ...variable, derivation, ...(isInherited && { isInherited }) };
  });
}

/** Whether the engine sets a variable to name what `--mount=type=ssh` mounts. */
function isSocketOf(op: OpNode["op"], { name, value }: DraftVariable): boolean {
  if (name !== "SSH_AUTH_SOCK" || op.kind !== "exec") return false;
  return op.mounts.some(({ type, dest }) => type === "ssh" && dest === value);
}

/** Those that a FROM names: all of them are ARGs. */
function namedVariables(entries: readonly string[]): readonly DraftVariable[] {
  return entries.map((entry) => variableOf(entry, () => true));
}

function variableOf(entry: string, isArg: (name: string) => boolean): DraftVariable {
  const end = entry.indexOf("=");
  const name = end < 0 ? entry : entry.slice(0, end);
  return { name, value: entry.slice(name.length + 1), variable: isArg(name) ? "ARG" : "ENV" };
}
