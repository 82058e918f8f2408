import { EngineError, type ErrorCode, type Miss } from "../base/index.js";
import type { RecordedStep } from "../cache/index.js";
import type { Outline, TargetInfo } from "../frontend/index.js";
import type { SourceExcerpt } from "../progress/index.js";
import type { BuildRequest } from "./request.js";

export interface BuildResult {
  /** Digest of the manifest (or, with several platforms, the index) that was written; undefined where no image was made. */
  readonly digest?: string;
  /** The config digest: the image's id. Undefined where `digest` is an index's. */
  readonly imageId?: string;
  readonly descriptor?: { readonly mediaType: string; readonly digest: string; readonly size: number };
  /** Bytes of the image: its config and its layers as they were stored or written. */
  readonly sizeBytes?: number;
  /** Full names the image was stored under. */
  readonly names: readonly string[];
  readonly steps: readonly StepResult[];
  /** Why steps ran although an earlier build had them. */
  readonly misses: readonly StepMiss[];
  readonly warnings: readonly BuildWarning[];
  /** The manifests of the caches that were written for other machines, in the request's order; absent of places that have none. */
  readonly caches: readonly { readonly mediaType: string; readonly digest: string; readonly size: number }[];
  /** What each output wrote, in the request's order. */
  readonly outputs: readonly {
    readonly type: string;
    readonly dest?: string;
    readonly sizeBytes?: number;
    readonly digest?: string;
    /** The names it was pushed under. */
    readonly pushed?: readonly string[];
  }[];
}

export interface StepResult {
  readonly name: string;
  readonly cached: boolean;
  /** Milliseconds; 0 for a cached step. */
  readonly durationMs: number;
}

/** A step that ran, and why it was not in the cache. */
export interface StepMiss extends Miss {
  /** Its name, as of a `StepResult`. */
  readonly step: string;
  readonly vertex: string;
}

/** What a build would do. */
export interface BuildPlan {
  /** Inputs first. */
  readonly steps: readonly PlannedStep[];
  /** The layers that steps would ask for and that are not here, by the images and the caches that have them. */
  readonly pulls: readonly PlannedPull[];
  /** Whether no step would run. */
  readonly isCached: boolean;
}

/** `depends`: whether it would run can't be told before the step (or the image) ON is there. */
export type PlannedStep = {
  readonly name: string;
  readonly vertex: string;
} /** `cache`: the one of another machine that has it, where this machine has not. */ & (
  | { readonly state: "cached"; readonly cache?: string; readonly causes?: undefined; readonly omitted?: undefined }
  /** `causes`: why, where an earlier build had the step, and how many more there are; they are as of a `Miss`. */
  | { readonly state: "run"; readonly causes?: Miss["causes"]; readonly omitted?: number }
  | { readonly state: "depends"; readonly on: string; readonly causes?: undefined; readonly omitted?: undefined }
);

/** A step of a build, and whose. `step`: `STAGE`, `STAGE:N`, `Dockerfile:LINE`, or the beginning of its digest. */
export interface ExplainRequest {
  readonly build: BuildRequest;
  readonly step: string;
}

/** What a step was made of in the last two builds in which it was not the same; `older` is absent where it always was. */
export interface StepExplanation {
  readonly step: string;
  readonly newer: RecordedStep;
  readonly older: RecordedStep | undefined;
  /** Why they differ. */
  readonly causes: Miss["causes"];
  /** How many more causes there are than are listed. */
  readonly omitted: number;
}

/** Layers of an image, or of a cache, by its name. */
export type PlannedPull = ({ readonly image: string; readonly platform: string } | { readonly cache: string }) & {
  readonly layers: number;
  readonly sizeBytes: number;
  /** Whether a step that runs asks for them; else only one of which it can't be told yet whether it would run. */
  readonly isCertain: boolean;
};

export interface BuildWarning {
  readonly rule?: string;
  readonly message: string;
  readonly description?: string;
  readonly url?: string;
  readonly file?: string;
  readonly startLine?: number;
  readonly endLine?: number;
  /** The very words, and what to write in their place: as of a BuildDiagnostic. */
  readonly culprit?: NonNullable<BuildDiagnostic["culprit"]>;
  readonly suggestion?: string;
  /** The whole text of the file. */
  readonly text?: string;
}

/** A mistake or a warning, where it has one with its place in the Dockerfile. */
export interface BuildDiagnostic {
  readonly severity: "error" | "warning";
  /** Of a build check: its name. */
  readonly rule?: string;
  readonly message: string;
  readonly description?: string;
  readonly url?: string;
  /** What can be done about it. */
  readonly hint?: string;
  /** What to write in place of `culprit`, where that is likely. */
  readonly suggestion?: string;
  /** It stands for so many mistakes that are not listed. */
  readonly omitted?: number;
  readonly file?: string;
  /** The lines of the instruction, from 1, both included. */
  readonly startLine?: number;
  readonly endLine?: number;
  /** The very words, where they are known: lines from 1, characters (UTF-16 units) from 0, the end not included. */
  readonly culprit?: {
    readonly start: { readonly line: number; readonly character: number };
    readonly end: { readonly line: number; readonly character: number };
  };
}

/** A build that was refused, or that failed, at a known place of its Dockerfile. */
export class BuildFailure extends EngineError {
  readonly source: SourceExcerpt;
  /** All that is wrong with the Dockerfile, or the step that failed; the message is the first one's. */
  readonly diagnostics: readonly BuildDiagnostic[];
  /** The step that failed, if it was one. */
  readonly step: FailedStep | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    {
      source,
      diagnostics,
      step,
    }: {
      readonly source: SourceExcerpt;
      readonly diagnostics: readonly BuildDiagnostic[];
      readonly step?: FailedStep | undefined;
    },
    options?: ErrorOptions & { readonly hint?: string },
  ) {
    super(code, message, options);
    this.source = source;
    this.diagnostics = diagnostics;
    this.step = step;
  }
}

export interface FailedStep {
  /** As it is shown: `[build 2/5] RUN make`. */
  readonly name: string;
  /** Of a RUN whose process ended by itself. */
  readonly exitCode?: number;
}

/** A source file that a report is about. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
}

/** What the build checks say. */
export interface CheckReport {
  /** Warnings in the order in which a build comes upon them, then the mistakes that would stop it. */
  readonly diagnostics: readonly BuildDiagnostic[];
  readonly source: SourceText;
}

/** What a target can be given, and the Dockerfile that says so. */
export interface OutlineReport extends Outline {
  readonly source: SourceText;
}

/** The stages of a Dockerfile. */
export interface TargetsReport {
  readonly targets: readonly TargetInfo[];
  readonly source: SourceText;
}

/** The program of `run` could not be started; `exitCode` is the one that docker run has for it. */
export class StartFailure extends EngineError {
  readonly exitCode: 126 | 127;

  constructor(message: string) {
    super("failed", message);
    this.exitCode = /not found|no such file/i.test(message) ? 127 : 126;
  }
}
