import type { ArgInstruction, RunInstruction, StageInstruction } from "./ast.js";
import type { PlatformMismatch, StageFacts } from "./lint/index.js";
import type { ResolvedMount } from "./mount.js";

/** What a conversion finds out for the build checks and the outline. Is filled on its way, and so tells of what was done before an error. */
export interface FactsDraft {
  readonly stages: Map<number, StageFactsDraft>;
  platformMismatches: readonly PlatformMismatch[];
}

export function createFacts(): FactsDraft {
  return { stages: new Map(), platformMismatches: [] };
}

/** What it finds out about a stage. */
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
  /** Every name that an ARG declares, in order; `inherited` where it takes the value of the one ahead of the first FROM. */
  readonly args: {
    readonly instruction: ArgInstruction;
    readonly key: string;
    readonly value: string | undefined;
    readonly inherited: boolean;
  }[];
  readonly mounts: { readonly instruction: RunInstruction; readonly mount: ResolvedMount }[];
  /** The places of the stages that steps copy or mount from. */
  readonly sources: Set<number>;
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
    args: [],
    mounts: [],
    sources: new Set(),
  };
}
