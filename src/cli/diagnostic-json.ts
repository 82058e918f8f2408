import type { BuildDiagnostic, SourceText } from "../engine/index.js";

/** A diagnostic for editors and other tools; docs/diagnostics.md describes it. SOURCE is the file it is about, where that is known. */
export function diagnosticJson(diagnostic: BuildDiagnostic, source?: SourceText): object {
  const { severity, rule, message, description, url, hint, suggestion, file } = diagnostic;
  const range = rangeOf(diagnostic, source);
  return { severity, rule, message, description, url, hint, suggestion, file, range };
}

/** The very words, or all lines of the instruction. */
function rangeOf({ culprit, startLine, endLine = startLine }: BuildDiagnostic, source: SourceText | undefined) {
  if (culprit) return culprit;
  if (startLine === undefined || endLine === undefined) return undefined;
  const last = source?.text.split("\n")[endLine - 1]?.replace(/\r$/, "") ?? "";
  return { start: { line: startLine, character: 0 }, end: { line: endLine, character: last.length } };
}
