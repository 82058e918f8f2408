import { EngineError, mayHoldSecret, secretValues } from "../../base/index.js";
import type { Derivation, DerivationList, NameList, OpMetadata, State } from "../../llb/index.js";
import type { Platform } from "../../oci/index.js";
import type { FrontendRequest } from "../frontend.js";
import type { Range, StageInstruction } from "./ast.js";
import type { ResolvedBases } from "./bases.js";
import { choosersOf } from "./derivations.js";
import type { Environment } from "./environment.js";
import {
  type EscapeCharacter,
  type ExpandResult,
  expandHeredoc,
  expandWord,
  settings,
  type VariableSource,
} from "./expand.js";
import type { StageFactsDraft } from "./facts.js";
import { type Effect, historyEntry } from "./history.js";
import type { DraftConfig } from "./imageconfig.js";
import { mistake, placed, sourceRange } from "./place.js";
import type { SourceStates, UsedPaths } from "./source-states.js";
import type { Origin, Stage } from "./stages.js";
import { capitalized, type VertexNames } from "./vertex-names.js";

/** What all stages of one platform's image share. */
export interface ConvertScope {
  readonly request: FrontendRequest;
  readonly escape: EscapeCharacter;
  /** Platform arguments and the ARGs ahead of the first FROM. */
  readonly globals: ReadonlyMap<string, string>;
  readonly globalNames: NameList | undefined;
  /** --build-arg, but for an SOURCE_DATE_EPOCH that gives no time. */
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly proxyEnv: Readonly<Record<string, string>> | undefined;
  /** Values of variables that may be secrets: those of the stages converted so far, too. */
  readonly secrets: Set<string>;
  readonly epoch: Date | undefined;
  readonly targetPlatform: Platform;
  /** Whether names of vertices show the platform. */
  readonly showPlatform: boolean;
  /** Whether nothing but one stage takes part, whose name then goes without saying. */
  readonly isOnlyStage: boolean;
  readonly bases: ResolvedBases;
  readonly sources: SourceStates;
  /** The stages converted so far. */
  readonly stages: ReadonlyMap<Stage, StageBuild>;
  /** Whether STAGE is the last that is built upon its base, whose settings nobody asks for then. */
  isLastHeir(stage: Stage): boolean;
}

/** A stage while its steps are converted one after the other; what it is when the last one is done is its result. */
export interface StageBuild {
  readonly scope: ConvertScope;
  readonly stage: Stage;
  readonly platform: Platform;
  /** What is read of the file system that the stage's chain of bases begins with. */
  readonly used: UsedPaths;
  readonly names: VertexNames;
  readonly facts: StageFactsDraft;
  /** What words are expanded with and processes get: ENV and ARG. */
  readonly variables: Environment;
  /** The ARGs declared, with their values. */
  readonly args: Map<string, string | undefined>;
  argNames: NameList | undefined;
  /** The variables that words of the present step were expanded with. */
  consulted: Set<string> | undefined;
  /** Where values come from, as steps know it; and those that are so at present, by what they are of. */
  derivations: DerivationList | undefined;
  readonly derived: Map<string, Derivation>;
  /** The variables (`KEY=value`) of the image that the stage begins with. */
  inherited: ReadonlySet<string>;
  readonly config: DraftConfig;
  state: State;
  /** Whether this stage has set CMD. */
  hasCommand: boolean;
}

/** One instruction of a stage while it is converted. */
export interface StepScope<I extends StageInstruction = StageInstruction> {
  readonly instruction: I;
  readonly trigger: boolean;
  readonly sources: readonly (Origin | undefined)[];
  /** Its place in the stage, from 1; 0 is FROM. */
  readonly ordinal: number;
}

/** Adds the entry of an instruction shown as TEXT. */
export function addHistory(build: StageBuild, text: string, effect: Effect): void {
  build.config.history.push(historyEntry(text, effect, build.scope.epoch));
}

/** TEXT expanded with the variables of the stage. Throws where it can't be, at CULPRIT if that is known. */
export function expanded(build: StageBuild, instruction: StageInstruction, text: string, culprit?: Range): string {
  return checked(build, instruction, expandWord(text, build.variables, build.scope.escape), culprit);
}

/** The body of a heredoc expanded with the variables of the stage. */
export function expandedHeredoc(build: StageBuild, instruction: StageInstruction, text: string): string {
  return checked(build, instruction, expandHeredoc(text, build.variables));
}

/** Notes what RESULT found undefined, for the build checks. */
export function noteUndefined(build: StageBuild, instruction: StageInstruction, result: ExpandResult): void {
  const { facts, variables } = build;
  for (const name of result.unset) {
    if (build.args.has(name) || HIDDEN_ARGS.has(name)) continue;
    const count = facts.undefinedVariables.length;
    if (count >= MAX_UNDEFINED) return;
    const isCompared = count < MAX_COMPARED && variables.size <= MAX_KNOWN_NAMES;
    if (isCompared && facts.knownNames.length !== variables.size) facts.knownNames = [...variables.names];
    facts.undefinedVariables.push({ instruction, name, known: isCompared ? facts.knownNames : [] });
  }
}

/** Undefined variables of a stage that are told; of so many it is said what was meant; and names they are compared with. */
const MAX_UNDEFINED = 10_000;
const MAX_COMPARED = 200;
const MAX_KNOWN_NAMES = 10_000;

/** The metadata of a vertex that a step makes. */
export function stepMetadata(build: StageBuild, step: StepScope, name: string, noCache = false): OpMetadata {
  return {
    name,
    command: step.instruction.kind === "run" ? step.instruction.original : undefined,
    ignoreCache: (noCache && ignoresCache(build)) || undefined,
    location: sourceRange(build.scope.request.dockerfile.name, step.instruction.range),
    step: { stage: build.facts.id, ordinal: step.ordinal, from: build.stage.from },
    args: build.argNames,
    variables: variablesOf(build, step.instruction),
    inherited: build.inherited.size === 0 ? undefined : build.inherited,
    derivations: build.derivations,
    choosers: choosersOf(build, step),
    secrets: build.scope.secrets.size === 0 ? undefined : build.scope.secrets,
  };
}

/** A process has them all in its environment. */
function variablesOf({ variables, consulted }: StageBuild, { kind }: StageInstruction): readonly string[] | undefined {
  return kind === "run" || consulted === undefined ? undefined : settings(consulted, variables);
}

/** What stands in a step's line for the value of a variable that may be a secret. */
const SECRET_SHOWN = "****";

/** Sets a variable of the stage, and notes its value where that may be a secret. */
export function setVariable(build: StageBuild, kind: "env" | "arg", key: string, value: string): void {
  build.variables.set(kind, key, value);
  for (const secret of secretValues([[key, value]])) build.scope.secrets.add(secret);
}

/** The values that the lines of steps show; those that may hold secrets, and those of HIDDEN variables, are not told. */
export function shownVariables(
  { scope, variables }: StageBuild,
  hidden: ReadonlySet<string> = new Set(),
): VariableSource {
  return {
    get(name) {
      if (hidden.has(name)) return SECRET_SHOWN;
      const value = variables.get(name);
      return value && mayHoldSecret(name, value, scope.secrets) ? SECRET_SHOWN : value;
    },
  };
}

/** The line that shows a step: its text with the values of variables, if it can be expanded. */
export function stepText(build: StageBuild, instruction: StageInstruction): string {
  const text = instruction.original.trim();
  const result = expandWord(text, shownVariables(build), build.scope.escape);
  return capitalized(result.ok ? result.value : text);
}

/** Arguments that steer BuildKit's scanners and are never variables. */
export const HIDDEN_ARGS: ReadonlySet<string> = new Set(["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]);

/** A failure that is a user's mistake; whoever converts the step gives it its place. */
export function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

/** The same at CULPRIT, in INSTRUCTION. */
export function invalidAt(
  build: StageBuild,
  { range }: StageInstruction,
  culprit: Range | undefined,
  message: string,
): EngineError {
  return mistake(message, { file: build.scope.request.dockerfile.name, range, culprit });
}

/** What WORK gives; what it throws stands at CULPRIT, in INSTRUCTION. */
export function within<T>(
  build: StageBuild,
  { range }: StageInstruction,
  culprit: Range | undefined,
  work: () => T,
): T {
  try {
    return work();
  } catch (error) {
    throw placed(error, { file: build.scope.request.dockerfile.name, range, culprit });
  }
}

function checked(build: StageBuild, instruction: StageInstruction, result: ExpandResult, culprit?: Range): string {
  noteUndefined(build, instruction, result);
  for (const name of result.consulted) {
    build.consulted ??= new Set();
    build.consulted.add(name);
  }
  if (result.ok) return result.value;
  const place = { file: build.scope.request.dockerfile.name, range: instruction.range, culprit };
  throw mistake(result.error, place, undefined, result.hint);
}

function ignoresCache({ scope: { request }, stage }: StageBuild): boolean {
  const { noCache } = request;
  if (typeof noCache === "boolean") return noCache;
  return noCache.some((name) => name.toLowerCase() === (stage.name ?? ""));
}
