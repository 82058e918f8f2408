import type { Digest } from "./digest.js";
import { canonicalJson } from "./json.js";

/** Why a step ran although an earlier build had it. */
export interface Miss {
  /** The root causes, the step's own ones first; never empty. */
  readonly causes: readonly AttributedCause[];
  /** How many more there are than are listed. */
  readonly omitted: number;
}

/** A cause, and the step it lies in where that is another one than the step that ran. */
export interface AttributedCause {
  readonly cause: MissCause;
  readonly step?: CausingStep;
}

/** A step of this build, or (without a digest) one that only an earlier build had. */
export interface CausingStep {
  readonly name: string;
  readonly digest?: Digest;
}

/** What may differ from an earlier build. Values that could be secrets are never told, long ones are cut. */
export type MissCause =
  /** A file that the step reads. `context`: the named context it lies in, `files`: what else it comes from, both absent for the main one. */
  | {
      readonly kind: "file";
      readonly path: string;
      readonly change: FileDifference;
      readonly context?: string;
      readonly files?: string;
    }
  /** `from` and `to` are absent where the variable is not set; both are where the value may not be told. */
  | {
      readonly kind: "variable";
      readonly variable: "ARG" | "ENV";
      readonly name: string;
      readonly from?: string;
      readonly to?: string;
    }
  /** What the Dockerfile, or an option of the build, says of the step: `command`, `heredoc`, `SHELL`, `USER`, `WORKDIR`, `--chmod` … */
  | { readonly kind: "instruction"; readonly part: string; readonly from?: string; readonly to?: string }
  /** The image a stage begins with, or that files are copied from: `from` and `to` are references, or digests of the same reference. */
  | { readonly kind: "image"; readonly reference: string; readonly from: string; readonly to: string }
  /** What an address gives: `from` and `to` are commits, digests, or other addresses. */
  | { readonly kind: "source"; readonly address: string; readonly from: string; readonly to: string }
  /** A context is another directory or address. The main one has no name. */
  | { readonly kind: "context"; readonly name?: string; readonly from: string; readonly to: string }
  | { readonly kind: "no-cache"; readonly stage?: string }
  /** Nothing differs, but its result was no longer in the cache. `at`: milliseconds since the epoch. */
  | { readonly kind: "record"; readonly gone: RecordLoss; readonly at?: number }
  /** The step ran again, for REASON, and gave something else although it was made from the same. */
  | { readonly kind: "result"; readonly reason?: MissCause }
  /** No build that is known had a result of it: in the last one that had it, it failed. */
  | { readonly kind: "failed" }
  /** The step was not there before, is not there any more, or stood elsewhere in its stage: at `from`, as `2/6`. */
  | { readonly kind: "step"; readonly change: "added" | "removed" | "moved"; readonly from?: string };

/** What an instruction or an option of the build says of a step. */
export type InstructionCause = Extract<MissCause, { kind: "instruction" }>;

/** What tells a cause from others; OWN stands for the step that it is told of. What concerns many steps alike is one cause. */
export function causeIdentity({ cause, step }: AttributedCause, own: string): string {
  return canonicalJson(isOfStep(cause) ? [cause, step?.digest ?? step?.name ?? own] : cause);
}

/** Whether a cause says nothing without the step that it is of. */
function isOfStep(cause: MissCause): boolean {
  if (cause.kind === "instruction") return !SHARED_PARTS.has(cause.part);
  return cause.kind === "step" || cause.kind === "result" || cause.kind === "record" || cause.kind === "failed";
}

/** What instructions and options say of all the steps that come after them. */
const SHARED_PARTS: ReadonlySet<string> = new Set([
  ...["FROM", "SHELL", "USER", "WORKDIR", "order of variables", "SOURCE_DATE_EPOCH", "--platform"],
  ...["--network", "--add-host", "--shm-size", "--ulimit", "--cgroup-parent", "hostname", "exit codes"],
]);

/** How a file differs. Modes are octal. */
export type FileDifference =
  | { readonly kind: "content" | "added" | "deleted" | "attributes" }
  | { readonly kind: "mode" | "owner" | "target" | "type"; readonly from: string; readonly to: string }
  /** The file that it is another name of, in the same selection; absent where it is a file of its own. */
  | { readonly kind: "link"; readonly from?: string; readonly to?: string }
  | { readonly kind: "renamed"; readonly from: string }
  /** A rule of the ignore file, where it is known, now leaves it out, or no longer does. */
  | { readonly kind: "ignored" | "unignored"; readonly rule?: string };

/** `pruned`: by hand or for room; `damaged`: it could not be read; `crash`: the machine went down before it was safe; `missing`: nobody knows, or only that there is one. */
export type RecordLoss = "pruned" | "damaged" | "crash" | "missing";
