import type { BuildResult, BuildWarning } from "../engine/index.js";
import { sourceExcerpt } from "../progress/index.js";

/** What the build checks found, as `docker buildx build --call=check` prints it. */
export function checkText(result: BuildResult): string {
  const count = result.warnings.length;
  const heading =
    count === 0
      ? "Check complete, no warnings found.\n"
      : `Check complete, ${count === 1 ? "1 warning has" : `${count} warnings have`} been found!\n`;
  const { buildError } = result;
  const error = buildError ? `\nERROR: ${buildError.message}\n${excerptOf(result, buildError)}` : "";
  return `${heading}${result.warnings.map((warning) => warningText(result, warning)).join("")}${error}`;
}

/** The same as data, in the form of BuildKit's lint request. */
export function checkJson(result: BuildResult): string {
  const { sources = [], warnings, buildError } = result;
  const report = {
    warnings: warnings.map((warning) => ({
      ruleName: warning.rule,
      description: warning.description,
      url: warning.url,
      detail: warning.message,
      location: locationOf(result, warning),
    })),
    sources: sources.map(({ file, text }) => ({
      filename: file,
      language: "Dockerfile",
      data: Buffer.from(text).toString("base64"),
    })),
    ...(buildError ? { buildError: { message: buildError.message, location: locationOf(result, buildError) } } : {}),
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

type Place = Pick<BuildWarning, "file" | "startLine" | "endLine">;

function warningText(result: BuildResult, warning: BuildWarning): string {
  const title = [warning.rule, warning.url].filter((part) => part !== undefined).join(" - ");
  return `\nWARNING: ${title}\n${warning.message}\n${excerptOf(result, warning)}`;
}

function excerptOf({ sources = [] }: BuildResult, { file, startLine, endLine = startLine }: Place): string {
  const source = sources.find((candidate) => candidate.file === file);
  if (!source || startLine === undefined || endLine === undefined) return "";
  return sourceExcerpt({ ...source, startLine, endLine });
}

function locationOf({ sources = [] }: BuildResult, { file, startLine, endLine = startLine }: Place) {
  if (startLine === undefined) return undefined;
  const sourceIndex = Math.max(
    sources.findIndex((source) => source.file === file),
    0,
  );
  return { sourceIndex, ranges: [{ start: { line: startLine }, end: { line: endLine } }] };
}
