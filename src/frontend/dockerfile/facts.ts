import type { StageInstruction } from "./ast.js";
import type { StageFacts } from "./lint/index.js";

/** What the conversion finds out about a stage for the build checks, while it does. */
export interface StageFactsDraft {
  /** The stage and the platform it is built for: the same in another build of the same file. */
  readonly id: string;
  parent: number | undefined;
  baseHasShell: boolean;
  platformMismatch: StageFacts["platformMismatch"];
  converted: number;
  readonly undefinedVariables: StageFacts["undefinedVariables"][number][];
  /** The names in `variables` when they were last listed; while none is added the list holds. */
  knownNames: readonly string[];
  readonly expanded: Map<StageInstruction, readonly string[]>;
}

export function createStageFacts(id: string): StageFactsDraft {
  return {
    id,
    parent: undefined,
    baseHasShell: false,
    platformMismatch: undefined,
    converted: 0,
    undefinedVariables: [],
    knownNames: [],
    expanded: new Map(),
  };
}
