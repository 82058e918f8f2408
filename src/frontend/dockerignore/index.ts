import { cleanPath } from "../../base/index.js";

/**
 * The patterns of a `.dockerignore`, in order, ready for a PatternMatcher: comments (`#` in the first column) and blank
 * lines left out, paths cleaned, `/` at their beginning dropped. Never throws; what is no pattern is for the matcher to
 * refuse.
 */
export function parseDockerignore(text: string): readonly string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    if (line.startsWith("#")) continue;
    const pattern = line.trim();
    if (pattern === "") continue;
    if (!pattern.startsWith("!")) patterns.push(relative(pattern));
    else patterns.push(`!${relative(pattern.slice(1).trim())}`);
  }
  return patterns;
}

/** PATTERN cleaned, counted from the top of the context. */
function relative(pattern: string): string {
  if (pattern === "") return pattern;
  const cleaned = cleanPath(pattern);
  return cleaned.length > 1 && cleaned.startsWith("/") ? cleaned.slice(1) : cleaned;
}
