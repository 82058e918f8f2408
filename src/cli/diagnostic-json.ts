import type { BuildDiagnostic } from "../engine/index.js";

/** A diagnostic for editors and other tools; docs/checks.md describes it. TEXT is that of its file, where it is known. */
export function diagnosticJson(diagnostic: BuildDiagnostic, text?: string): object {
  const { severity, rule, message, description, url, hint, suggestion, omitted, file } = diagnostic;
  const range = rangeOf(diagnostic, text);
  return { severity, rule, message, description, url, hint, suggestion, omitted, file, range };
}

/** The very words, or all lines of the instruction. */
function rangeOf({ culprit, startLine, endLine = startLine }: BuildDiagnostic, text: string | undefined) {
  if (culprit) return culprit;
  if (startLine === undefined || endLine === undefined) return undefined;
  const last = text?.split("\n")[endLine - 1]?.replace(/\r$/, "") ?? "";
  return { start: { line: startLine, character: 0 }, end: { line: endLine, character: last.length } };
}
