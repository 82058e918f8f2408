import type { Diagnostic } from "../frontend.js";
import type { Range } from "./ast.js";

/** Errors of one file that are kept; a file that is no Dockerfile at all has one per line. */
const MAX_DIAGNOSTICS = 1_000;

/** A mistake in an instruction, as told by those who find it. */
export interface Mistake {
  readonly message: string;
  /** The very words, where they are known. */
  readonly culprit?: Range | undefined;
  /** What to write in their place. */
  readonly suggestion?: string | undefined;
  /** A sentence on what to do about it. */
  readonly hint?: string | undefined;
}

/** Collects the errors of a file. */
export class DiagnosticCollector {
  readonly #file: string;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /** Notes a mistake in the instruction that stands at RANGE. */
  report({ message, culprit, suggestion, hint }: Mistake, range: Range): void {
    if (this.isFull) return;
    this.#diagnostics.push({
      severity: "error",
      message,
      ...locate(this.#file, range, culprit),
      ...(suggestion === undefined ? {} : { suggestion }),
      ...(hint === undefined ? {} : { hint }),
    });
  }

  /** Whether there are so many that reading on is no use. */
  get isFull(): boolean {
    return this.#diagnostics.length >= MAX_DIAGNOSTICS;
  }

  get isEmpty(): boolean {
    return this.#diagnostics.length === 0;
  }

  /** All that was noted, in the order of the file. */
  finish(): readonly Diagnostic[] {
    return this.#diagnostics.toSorted((a, b) => (a.location?.startLine ?? 0) - (b.location?.startLine ?? 0));
  }
}

/** The place of an instruction, and of CULPRIT in it. */
export function locate(file: string, range: Range, culprit?: Range): Pick<Diagnostic, "location" | "culprit"> {
  const location = { file, startLine: range.start.line, endLine: range.end.line };
  return culprit ? { location, culprit } : { location };
}
