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

/** Collects the errors of a file: so many that none is lost of what a person wrote, and of the others their number. */
export class DiagnosticCollector {
  readonly #file: string;
  readonly #diagnostics: Diagnostic[] = [];
  #omitted = 0;
  #firstOmitted: Range | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** Notes a mistake in the instruction that stands at RANGE. */
  report({ message, culprit, suggestion, hint }: Mistake, range: Range): void {
    if (this.isFull) {
      this.#omitted++;
      this.#firstOmitted ??= range;
      return;
    }
    this.#diagnostics.push({
      severity: "error",
      message,
      ...locate(this.#file, range, culprit),
      ...(suggestion === undefined ? {} : { suggestion }),
      ...(hint === undefined ? {} : { hint }),
    });
  }

  /** Whether no more are listed. */
  get isFull(): boolean {
    return this.#diagnostics.length >= MAX_DIAGNOSTICS;
  }

  get isEmpty(): boolean {
    return this.#diagnostics.length === 0;
  }

  /** All that was noted, in the order of the file; last, where some were too many, that there are more. */
  finish(): readonly Diagnostic[] {
    const noted = this.#diagnostics.toSorted((a, b) => (a.location?.startLine ?? 0) - (b.location?.startLine ?? 0));
    if (this.#firstOmitted === undefined) return noted;
    const mistakes = this.#omitted === 1 ? "mistake is" : "mistakes are";
    const message = `${this.#omitted} more ${mistakes} not listed`;
    const omitted = this.#omitted;
    return [...noted, { severity: "error", message, omitted, ...locate(this.#file, this.#firstOmitted) }];
  }
}

/** The place of an instruction, and of CULPRIT in it. */
export function locate(file: string, range: Range, culprit?: Range): Pick<Diagnostic, "location" | "culprit"> {
  const location = { file, startLine: range.start.line, endLine: range.end.line };
  return culprit ? { location, culprit } : { location };
}
