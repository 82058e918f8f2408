import type { Diagnostic } from "../frontend.js";
import type { DockerfileNode, Range, StageInstruction } from "./ast.js";

export interface ParsedDockerfile {
  /** What could be read; complete only where there are no diagnostics. */
  readonly dockerfile: DockerfileNode;
  /** Every error of the file, in order. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads a whole Dockerfile. NAME stands in the locations. Never throws. */
export declare function parseDockerfile(text: string, name: string): ParsedDockerfile;

/** Where the text of an ONBUILD trigger runs. */
export interface TriggerContext {
  /** The file shown in locations. */
  readonly name: string;
  /** What every node of the trigger has as its range: that of the FROM that fires it. */
  readonly range: Range;
}

/** Reads one ONBUILD trigger. `instruction` is undefined exactly where there are diagnostics. Never throws. */
export declare function parseInstructionText(
  text: string,
  context: TriggerContext,
): { readonly instruction: StageInstruction | undefined; readonly diagnostics: readonly Diagnostic[] };
