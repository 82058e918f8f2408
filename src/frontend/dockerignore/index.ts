import { cleanPath, EngineError, trimSpace } from "../../base/index.js";

/** Bytes of a line; longer ones are refused, as by BuildKit, whose reader takes no more at once. */
const MAX_LINE_BYTES = 65_535;

/**
 * The patterns of a `.dockerignore`, in order, ready for a PatternMatcher: comments (`#` in the first column) and blank
 * lines left out, paths cleaned, `/` at their beginning dropped. What is no pattern is for the matcher to refuse. Throws
 * `invalid` for a line that is too long.
 */
export function parseDockerignore(text: string): readonly string[] {
  const patterns: string[] = [];
  for (const [n, line] of text.split("\n").entries()) {
    // A character has three bytes at most for each of its units.
    if (line.length > MAX_LINE_BYTES / 3 && Buffer.byteLength(line) > MAX_LINE_BYTES)
      throw new EngineError("invalid", `line ${n + 1} of the ignore file is longer than ${MAX_LINE_BYTES} bytes`);
    const pattern = patternOf(n === 0 ? line.replace(/^\ufeff/, "") : line);
    if (pattern !== undefined) patterns.push(pattern);
  }
  return patterns;
}

function patternOf(line: string): string | undefined {
  if (line.startsWith("#")) return undefined;
  const pattern = trimSpace(line);
  if (pattern === "") return undefined;
  if (!pattern.startsWith("!")) return relative(pattern);
  return `!${relative(trimSpace(pattern.slice(1)))}`;
}

/** PATTERN cleaned, counted from the top of the context. */
function relative(pattern: string): string {
  if (pattern === "") return pattern;
  const cleaned = cleanPath(pattern);
  return cleaned.length > 1 && cleaned.startsWith("/") ? cleaned.slice(1) : cleaned;
}
