import { EngineError } from "../../base/index.js";
import type { SourceRange } from "../../llb/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import type { Diagnostic } from "../frontend.js";
import type { Range } from "./ast.js";
import { locate } from "./diagnostics.js";

/** Where in a Dockerfile something is: the lines of an instruction, and the words of it that are meant, where they are known. */
export interface Place {
  readonly file: string;
  readonly range: Range;
  readonly culprit?: Range | undefined;
}

/** A mistake of the user's at PLACE; MEANT is what to write in place of the culprit, where that is likely, HINT what to do. */
export function mistake(message: string, place: Place, meant?: string, hint?: string): DiagnosticError {
  const suggestion = meant === undefined ? {} : { suggestion: meant };
  return new DiagnosticError([
    { ...diagnosticAt(message, place), ...suggestion, ...(hint === undefined ? {} : { hint }) },
  ]);
}

/** ERROR with its place. One that has a place keeps it; what is no failure of the build (an abort, a bug) stays as it is. */
export function placed(error: unknown, place: Place): unknown {
  if (!(error instanceof EngineError) || error instanceof DiagnosticError || error.code === "canceled") return error;
  const { code, hint, cause } = error;
  const diagnostic = { ...diagnosticAt(error.message, place), ...(hint === undefined ? {} : { hint }) };
  return new DiagnosticError([diagnostic], { code, hint, cause });
}

/** The lines of RANGE. */
export function sourceRange(file: string, range: Range): SourceRange {
  return { file, startLine: range.start.line, endLine: range.end.line };
}

function diagnosticAt(message: string, { file, range, culprit }: Place): Diagnostic {
  return { severity: "error", message, ...locate(file, range, culprit) };
}
