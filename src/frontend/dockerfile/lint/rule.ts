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
  /**
   * What it needs: the file as far as it can be read, a file without errors, or what the build found out. A file with
   * errors is checked up to the first of them.
   */
  readonly needs: "text" | "file" | "build";
  check(context: LintContext): Iterable<Finding>;
}

/** Something a check has to say. */
export interface Finding {
  readonly message: string;
  readonly range: Range;
  /** The instruction whose comments may skip the check; undefined where only the whole file's options count. */
  readonly subject: Instruction | undefined;
}

/** What checks look at. */
export interface LintContext {
  readonly file: DockerfileNode;
  /** The instructions to check, in order. */
  readonly instructions: readonly Instruction[];
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
  readonly instructions: readonly StageInstruction[];
}

/** A finding about INSTRUCTION that the comments above it may skip. */
export function finding(instruction: Instruction, message: string): Finding {
  return { message, range: instruction.range, subject: instruction };
}

/** A finding about INSTRUCTION that only the whole file's options can skip. */
export function fileFinding(instruction: Instruction, message: string): Finding {
  return { message, range: instruction.range, subject: undefined };
}

/** The address of a check's page. */
export function ruleUrl(page: string): string {
  return `https://docs.docker.com/go/dockerfile/rule/${page}/`;
}

/** The FROM instructions to check. */
export function* froms({ instructions }: LintContext): Generator<FromInstruction> {
  for (const instruction of instructions) if (instruction.kind === "from") yield instruction;
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
