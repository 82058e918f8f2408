import type { LogicalLine } from "./lines.js";
import type { RawInstruction } from "./raw.js";

/**
 * What to do about LINE, which is RAW and begins with no keyword, where it was probably meant to go on from the line before:
 * that ends as a command that is not over, or in the escape character that is not this file's, or LINE is indented.
 */
export function continuationHint(
  previous: LogicalLine | undefined,
  line: LogicalLine,
  { escapeCharacter }: RawInstruction,
): string | undefined {
  if (previous === undefined || previous.endLine + 1 !== line.startLine) return undefined;
  const end = previous.text.trimEnd();
  const other = escapeCharacter === "\\" ? "`" : "\\";
  if (end.endsWith(other)) {
    return `Line ${previous.endLine} goes on only if it ends in ${escapeCharacter}, the escape character of this file.`;
  }
  const isIndented = line.source.range(0, 1).start.character > 0;
  if (!isIndented && !/(&&|\|\|?|;|,|\()$/.test(end)) return undefined;
  return `If it belongs to line ${previous.endLine}, that line has to end in ${escapeCharacter}.`;
}

/** What to do where the line that ends a heredoc is missing; ALMOST is a line that has it with blanks around it. */
export function terminatorHint(name: string, almost: number | undefined): string {
  const rule = `It ends at a line that is ${name} and nothing else`;
  return almost === undefined ? `${rule}.` : `${rule}; line ${almost} has blanks around it.`;
}
