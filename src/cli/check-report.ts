import type { BuildDiagnostic, CheckReport } from "../engine/index.js";
import { sourceExcerpt } from "../progress/index.js";
import type { CallAnswer } from "./call.js";
import { diagnosticJson } from "./diagnostic-json.js";
import { mistakesSummary } from "./failure.js";
import { locationJson, sourceData } from "./source-location.js";

/** What the build checks found, as `docker buildx build --call=check` tells it. */
export function answerCheck(report: CheckReport): CallAnswer {
  const { diagnostics, source } = report;
  const warnings = diagnostics.filter(({ severity }) => severity === "warning");
  const [error, ...others] = diagnostics.filter(({ severity }) => severity === "error");
  const found = diagnostics.map((diagnostic) => diagnosticJson(diagnostic, source.text));
  const json = {
    warnings: warnings.map((warning) => ({
      ruleName: warning.rule,
      description: warning.description,
      url: warning.url,
      detail: warning.message,
      location: locationJson(warning),
    })),
    sources: [{ filename: source.file, data: sourceData(source), language: "Dockerfile" }],
    ...(error ? { buildError: { message: error.message, location: locationJson(error) } } : {}),
    diagnostics: found,
  };
  return {
    json,
    text: checkText(warnings, error !== undefined, report),
    version: "1.0.0",
    diagnostics: found,
    statusCode: diagnostics.length > 0 ? 1 : 0,
    ...(error ? { failure: mistakesSummary([error, ...others], source) } : {}),
  };
}

function checkText(warnings: readonly BuildDiagnostic[], isBroken: boolean, report: CheckReport): string {
  if (warnings.length === 0) return isBroken ? "" : "Check complete, no warnings found.\n";
  const count = warnings.length === 1 ? "1 warning has" : `${warnings.length} warnings have`;
  const byLine = warnings.toSorted((a, b) => (a.startLine ?? 0) - (b.startLine ?? 0));
  const told = byLine.map((warning) => warningText(warning, report));
  return `Check complete, ${count} been found!\n${told.join("")}${isBroken ? "\n" : ""}`;
}

function warningText({ rule, url, message, ...place }: BuildDiagnostic, { source }: CheckReport): string {
  const title = [rule, url].filter((part) => part !== undefined).join(" - ");
  const { startLine, endLine = startLine, culprit } = place;
  const hasPlace = startLine !== undefined && endLine !== undefined;
  return `\nWARNING: ${title}\n${message}\n${hasPlace ? sourceExcerpt({ ...source, startLine, endLine, culprit }) : ""}`;
}
