import type { PatternMatcher } from "../../../base/index.js";
import type { StageInstruction } from "../ast.js";

/** What the checks need to know of a build beyond the text: the conversion to a graph finds it out on its way. */
export interface LintFacts {
  /** --build-arg. */
  readonly buildArgs: ReadonlyMap<string, string>;
  /** TARGETPLATFORM and its like, with --build-arg already over them. */
  readonly platformArgs: ReadonlyMap<string, string>;
  /** The patterns of the main context, if it has any. */
  readonly dockerignore: PatternMatcher | undefined;
  /** The stages that were converted, by their place in the file; of the others only the text is checked. */
  readonly stages: ReadonlyMap<number, StageFacts>;
}

export interface StageFacts {
  /** The place of the stage that FROM names, if it names one. */
  readonly parent: number | undefined;
  /** Whether the image the stage begins with names a shell. */
  readonly baseHasShell: boolean;
  /** Set where the base image is for another platform than was asked for. */
  readonly platformMismatch: { readonly image: string; readonly expected: string; readonly actual: string } | undefined;
  /** How many of its instructions were converted: all, unless an error ended it. */
  readonly converted: number;
  /**
   * Variables that an instruction used and nothing set, ARG without a value included, with the names that are set
   * there.
   */
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
