import type { Diagnostic } from "../../frontend.js";

/**
 * The report of `--call=check,format=json` in the form of BuildKit's `frontend.lint`, and the exit code: 1 where there
 * are warnings or an error. The first error is the `buildError`.
 */
export function checkReport(report: {
  readonly name: string;
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}): { readonly json: string; readonly exitCode: 0 | 1 } {
  const warnings = report.diagnostics.filter((diagnostic) => diagnostic.severity === "warning");
  const error = report.diagnostics.find((diagnostic) => diagnostic.severity === "error");
  const data = Buffer.from(report.text, "utf8").toString("base64");
  const json = JSON.stringify(
    {
      warnings: warnings.map((diagnostic) => ({
        ruleName: diagnostic.rule,
        description: diagnostic.description,
        url: diagnostic.url,
        detail: diagnostic.message,
        location: location(diagnostic),
      })),
      sources: [{ filename: report.name, language: "Dockerfile", data }],
      buildError: error && { message: error.message, location: location(error) },
    },
    undefined,
    2,
  );
  return { json, exitCode: report.diagnostics.length > 0 ? 1 : 0 };
}

/** One range per line, as BuildKit has it. */
function location({ location: place }: Diagnostic): object {
  if (!place) return {};
  const length = Math.max(1, place.endLine - place.startLine + 1);
  const lines = Array.from({ length }, (_, n) => place.startLine + n);
  return { ranges: lines.map((line) => ({ start: { line }, end: { line } })) };
}
