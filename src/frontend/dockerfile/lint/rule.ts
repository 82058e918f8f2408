import type { DockerfileNode, FromInstruction, Instruction, Range, StageInstruction, StageNode } from "../ast.js";
import type { LintFacts, StageFacts } from "./facts.js";

/** One build check. */
export interface Rule {
  /** As in `# check=skip=NAME`. */
  readonly name: string;
  readonly description: string;
  /** Its page, undefined where it has none. */
  readonly url: string | undefined;
  /** Runs only where `experimental=` asks for it. */
  readonly isExperimental?: boolean;
  /** When BuildKit looks at what the check is about. */
  readonly phase: Phase;
  check(context: LintContext): Iterable<Finding>;
}

/**
 * What a build does before it runs anything, in order: the lines are read, the instructions parsed, then names, keywords
 * and the defaults of ARG looked at; FROM is expanded, images are resolved, the steps converted. A mistake ends all that
 * comes after it, and findings are told in this order.
 */
export type Phase = "read" | "parse" | "names" | "casing" | "defaults" | "from" | "resolve" | "convert";

/** Something a check has to say. */
export interface Finding {
  readonly message: string;
  readonly range: Range;
  /** The instruction at which it turns up, whose comments may skip it; undefined for what is about no instruction. */
  readonly at: Instruction | undefined;
  /** The very words, where they are known. */
  readonly culprit?: Range | undefined;
  /** What to write in their place, where that is likely. */
  readonly suggestion?: string | undefined;
  /** The place among the findings at that instruction, from the lowest; 0 unless it matters. */
  readonly order?: number;
}

/** What checks look at. */
export interface LintContext {
  readonly file: DockerfileNode;
  /** Its lines as they are written. */
  readonly lines: () => readonly string[];
  /** The instructions to check, in order. */
  readonly instructions: readonly Instruction[];
  /** Those of them that begin a stage. */
  readonly froms: readonly FromInstruction[];
  /** The lines with empty continuations. */
  readonly emptyContinuations: readonly number[];
  /** What the build knows; a rule that needs the build sees no stage without it. */
  readonly facts: LintFacts | undefined;
  /** The stages that were converted, each up to where its conversion ended. */
  readonly stages: readonly ConvertedStage[];
}

export interface ConvertedStage {
  readonly node: StageNode;
  readonly facts: StageFacts;
  /** ONBUILD triggers of the base first; these stand where the FROM does. */
  readonly instructions: readonly StageInstruction[];
}

/** A finding about INSTRUCTION. */
export function finding(
  instruction: Instruction,
  message: string,
  more: Pick<Finding, "culprit" | "suggestion" | "order"> = {},
): Finding {
  return { message, range: instruction.range, at: instruction, ...more };
}

/** The address of a check's page. */
export function ruleUrl(page: string): string {
  return `https://docs.docker.com/go/dockerfile/rule/${page}/`;
}

/** The instructions of converted stages that are of KIND. */
export function* converted<K extends StageInstruction["kind"]>(
  context: LintContext,
  kind: K,
): Generator<{ readonly instruction: Extract<StageInstruction, { kind: K }>; readonly stage: ConvertedStage }> {
  for (const stage of context.stages) {
    for (const instruction of stage.instructions) if (isKind(instruction, kind)) yield { instruction, stage };
  }
}

function isKind<K extends StageInstruction["kind"]>(
  instruction: StageInstruction,
  kind: K,
): instruction is Extract<StageInstruction, { kind: K }> {
  return instruction.kind === kind;
}
