import type { Digest, Miss } from "../base/index.js";

/** Everything that happens in a build, as facts; a renderer decides how it looks. Times are milliseconds since the epoch. */
export type ProgressEvent =
  | { readonly type: "vertex-started"; readonly vertex: VertexInfo; readonly at: number }
  | { readonly type: "vertex-cached"; readonly vertex: VertexInfo; readonly at: number }
  /** Why a vertex that began to run was not in the cache, where an earlier build had it. */
  | { readonly type: "vertex-missed"; readonly vertex: Digest; readonly at: number; readonly miss: Miss }
  | { readonly type: "vertex-completed"; readonly vertex: Digest; readonly at: number; readonly outcome: Outcome }
  /** Something countable inside a vertex: a layer being pulled, files being copied, an export being written. */
  | {
      readonly type: "status";
      readonly vertex: Digest;
      readonly id: string;
      readonly at: number;
      readonly current: number;
      readonly total?: number;
      /** What is counted. */
      readonly unit: "bytes" | "files" | "none";
      readonly startedAt: number;
      readonly done: boolean;
    }
  | {
      readonly type: "log";
      readonly vertex: Digest;
      readonly at: number;
      readonly fd: 1 | 2;
      readonly chunk: Uint8Array;
    }
  | { readonly type: "warning"; readonly vertex: Digest | undefined; readonly warning: Warning };

/** What a renderer knows of a vertex. `digest` tells it from others in this build (two processes of one build never share it). */
export interface VertexInfo {
  readonly digest: Digest;
  readonly name: string;
  readonly inputs: readonly Digest[];
}

export type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "error"; readonly message: string }
  | { readonly kind: "canceled" };

/** A build check or other warning. Lines from 1, both included. */
export interface Warning {
  readonly rule?: string;
  readonly message: string;
  readonly description?: string;
  readonly url?: string;
  readonly file?: string;
  readonly startLine?: number;
  readonly endLine?: number;
  /** The very words, where they are known: lines from 1, characters (UTF-16 units) from 0, the end not included. */
  readonly culprit?: { readonly start: TextPosition; readonly end: TextPosition };
  /** What to write in place of the culprit, where that is likely. */
  readonly suggestion?: string;
  /** The whole text of the file. */
  readonly text?: string;
}

/** A line, from 1, and a UTF-16 unit in it, from 0. */
export interface TextPosition {
  readonly line: number;
  readonly character: number;
}

/** Where events go. `emit` never throws and never blocks. */
export interface ProgressSink {
  emit(event: ProgressEvent): void;
}
