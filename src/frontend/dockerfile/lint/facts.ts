import type { PatternMatcher } from "../../../base/index.js";
import type { Range, StageInstruction } from "../ast.js";

/** What the checks need to know of a build beyond the text: the conversion to a graph finds it out on its way. */
export interface LintFacts {
  /** --build-arg. */
  readonly buildArgs: ReadonlyMap<string, string>;
  /** TARGETPLATFORM and its like, with --build-arg already over them. */
  readonly platformArgs: ReadonlyMap<string, string>;
  /** The patterns of the main context, if it has any. */
  readonly dockerignore: PatternMatcher | undefined;
  /** Images for another platform than was asked for: bases of stages, and what steps copy or mount from. */
  readonly platformMismatches: readonly PlatformMismatch[];
  /** The stages that were converted, by their place in the file; of the others only the text is checked. */
  readonly stages: ReadonlyMap<number, StageFacts>;
}

export interface StageFacts {
  /** The place of the stage that FROM names, if it names one. */
  readonly parent: number | undefined;
  /** Whether the image the stage begins with names a shell. */
  readonly baseHasShell: boolean;
  /** The instructions that were converted, ONBUILD triggers of the base first: all, unless an error ended it. */
  readonly converted: readonly StageInstruction[];
  /** The instruction whose error ended the conversion. */
  readonly failed: StageInstruction | undefined;
  /** Variables that a word of an instruction used and neither ENV nor ARG declared, with the names that are set there. */
  readonly undefinedVariables: readonly {
    readonly instruction: StageInstruction;
    readonly name: string;
    readonly known: readonly string[];
  }[];
  /**
   * Words after expansion: of WORKDIR its path, of EXPOSE its ports, of ENV its keys, of COPY and ADD the sources that
   * are taken from the main context (none with --from). An instruction that is not here counts as it is written.
   */
  readonly expanded: ReadonlyMap<StageInstruction, readonly string[]>;
}

/** An image that is not for the platform it is used on. */
export interface PlatformMismatch {
  /** As the file names it. */
  readonly image: string;
  readonly expected: string;
  readonly actual: string;
  /** Where the file names it: the instruction, and its words. */
  readonly range: Range;
  readonly culprit: Range | undefined;
}
