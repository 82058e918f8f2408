import type { Diagnostic } from "../frontend.js";
import type { Range } from "./ast.js";

/** Errors of one file that are kept; a file that is no Dockerfile at all has one per line. */
const MAX_DIAGNOSTICS = 1_000;

/** Collects the errors of a file. */
export class DiagnosticCollector {
  readonly #file: string;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /** Notes an error about RANGE, the lines of an instruction, or about CULPRIT in it. */
  report(message: string, range: Range, culprit?: Range): void {
    if (this.isFull) return;
    this.#diagnostics.push({ severity: "error", message, ...locate(this.#file, range, culprit) });
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

/** The location of an instruction, or of CULPRIT's line where that is another than its first. */
export function locate(file: string, range: Range, culprit?: Range): Pick<Diagnostic, "location" | "columns"> {
  const lines = culprit && culprit.start.line !== range.start.line ? culprit : range;
  const location = { file, startLine: lines.start.line, endLine: lines.end.line };
  if (!culprit) return { location };
  const isOneLine = culprit.end.line === culprit.start.line;
  const start = culprit.start.character;
  return { location, columns: { start, end: isOneLine ? culprit.end.character : start + 1 } };
}
