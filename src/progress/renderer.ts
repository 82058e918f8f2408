import type { Clock } from "../base/index.js";
import type { ProgressSink, TextPosition } from "./event.js";

/** Shows a build. After `finish` nothing more is written, no timer is left, and further events are dropped. */
export interface Renderer extends ProgressSink {
  /** Writes what is still held back and how the build ended. Called once. */
  finish(summary: Summary): void;
}

/** A renderer of a terminal that others may want in between. */
export interface PausableRenderer extends Renderer {
  /** Writes nothing more until the returned function is called; what happens meanwhile is shown then. */
  pause(): () => void;
}

/** Where a renderer writes; `process.stderr` is one. */
export interface TextOutput {
  write(text: string): unknown;
}

/** The time, and waking up later. */
export interface RendererClock extends Clock {
  /** Calls CALLBACK once after DELAYMS milliseconds unless the returned function is called first. Keeps no process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

export interface RendererOptions {
  readonly clock: RendererClock;
  /** Write colours. Default: no. */
  readonly color?: boolean;
  /** Show warnings with their description, link and lines. Default: no. */
  readonly debug?: boolean;
}

/** How a build ended. */
export type Summary =
  | { readonly kind: "built"; readonly image: BuiltImage | undefined; readonly places: readonly Place[] }
  | {
      readonly kind: "failed";
      readonly message: string;
      /** What the user can do about it. */
      readonly hint?: string | undefined;
      readonly source?: SourceExcerpt | undefined;
      /** What else is wrong with the same file, in its order. */
      readonly further?: readonly FurtherMistake[] | undefined;
      /** How many more there are than `further` holds. Default: 0. */
      readonly omitted?: number;
      /** The sentences of the errors behind it, the nearest first; empty unless asked for. */
      readonly causes?: readonly string[];
    }
  | { readonly kind: "canceled"; readonly message: string }
  /** What came of it is told elsewhere, or nobody is left to be told. */
  | { readonly kind: "silent" };

/** The image that was made. */
export interface BuiltImage {
  readonly names: readonly string[];
  readonly digest?: string | undefined;
  readonly imageId?: string | undefined;
  readonly sizeBytes?: number | undefined;
}

/** Where a result went. */
export type Place =
  | { readonly kind: "store"; readonly name: string }
  | { readonly kind: "loaded"; readonly program: "docker" | "podman"; readonly name: string | undefined }
  | { readonly kind: "pushed"; readonly name: string; readonly digest?: string | undefined }
  | { readonly kind: "written"; readonly type: string; readonly dest: string; readonly sizeBytes?: number | undefined };

/** A place in a source file, with the whole file's text. Lines from 1, both included. */
export interface SourceExcerpt {
  readonly file: string;
  readonly text: string;
  readonly startLine: number;
  readonly endLine: number;
  /** The very words in those lines, where they are known: lines from 1, characters (UTF-16 units) from 0, the end not included. */
  readonly culprit?: { readonly start: TextPosition; readonly end: TextPosition } | undefined;
}

/** A mistake that is told after the first one of a file. */
export interface FurtherMistake {
  readonly message: string;
  readonly hint?: string | undefined;
  readonly source: SourceExcerpt;
}
