import type { Range } from "../ast.js";

/** Where a variable is used. */
export interface VariablePlace {
  /** `$NAME`, or the name within `${NAME…}`. */
  readonly culprit: Range;
  /** What stands before the name: a dollar sign or nothing. */
  readonly sigil: "$" | "";
}

/** How much of an instruction is searched, in UTF-16 units: a line may be this long. */
const MAX_SEARCHED_UNITS = 65_536;

/** Where the variable NAME is first used in the part RANGE of LINES; undefined where it can't be told from the text. */
export function findVariable(lines: readonly string[], { start, end }: Range, name: string): VariablePlace | undefined {
  const escaped = name.replace(/[*?$]/g, "\\$&");
  const used = new RegExp(`(?<![\\\\\`])\\$(\\{?)${escaped}(?![\\p{L}\\p{Nd}_])`, "u");
  let left = MAX_SEARCHED_UNITS;
  for (let number = start.line; number <= end.line && left > 0; number++) {
    const line = lines[number - 1] ?? "";
    left -= line.length;
    if (number > start.line && /^\s*#/.test(line)) continue;
    const found = used.exec(line);
    if (!found) continue;
    const isBraced = found[1] !== "";
    const first = found.index + (isBraced ? "${".length : 0);
    const last = found.index + found[0].length;
    const culprit = { start: { line: number, character: first }, end: { line: number, character: last } };
    return { culprit, sigil: isBraced ? "" : "$" };
  }
  return undefined;
}
