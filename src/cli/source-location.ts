import type { BuildDiagnostic, SourceText } from "../engine/index.js";

/** Lines of a source, from 1, both included. */
type Lines = Pick<BuildDiagnostic, "startLine" | "endLine">;

/** Lines in the form of BuildKit's `pb.Location`: a range for each. */
export function locationJson({ startLine, endLine = startLine }: Lines): object {
  if (startLine === undefined || endLine === undefined) return {};
  const length = Math.max(1, endLine - startLine + 1);
  const lines = Array.from({ length }, (_, index) => startLine + index);
  return { ranges: lines.map((line) => ({ start: { line }, end: { line } })) };
}

/** The bytes of a source in base64, as JSON made by Go holds them. */
export function sourceData({ text }: SourceText): string {
  return Buffer.from(text, "utf8").toString("base64");
}
