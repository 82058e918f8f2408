import type { StageInstruction } from "./ast.js";
import type { PlatformMismatch, StageFacts } from "./lint/index.js";

/** What a conversion finds out for the build checks. Is filled on its way, and so tells of what was done before an error. */
export interface FactsDraft {
  readonly stages: Map<number, StageFactsDraft>;
  platformMismatches: readonly PlatformMismatch[];
}

export function createFacts(): FactsDraft {
  return { stages: new Map(), platformMismatches: [] };
}

/** What the conversion finds out about a stage for the build checks, while it does. */
export interface StageFactsDraft {
  /** The stage and the platform it is built for: the same in another build of the same file. */
  readonly id: string;
  parent: number | undefined;
  baseHasShell: boolean;
  readonly converted: StageInstruction[];
  failed: StageInstruction | undefined;
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
    converted: [],
    failed: undefined,
    undefinedVariables: [],
    knownNames: [],
    expanded: new Map(),
  };
}
