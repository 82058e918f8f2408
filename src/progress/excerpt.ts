import { redactCredentials } from "../base/index.js";
import type { SourceExcerpt } from "./renderer.js";
import { printable, textWidth } from "./text-width.js";

/**
 * The marked lines of a source file with some around them, and carets under the culprit; empty where the place lies outside
 * the text. Of a long range only both ends and what surrounds the culprit.
 */
export function sourceExcerpt({ file, text, startLine, endLine, culprit }: SourceExcerpt): string {
  const lines = text.split("\n");
  if (startLine < 1 || startLine > lines.length) return "";
  const last = Math.min(Math.max(endLine, startLine), lines.length);
  const margin = last === startLine ? CONTEXT_OF_ONE_LINE : CONTEXT_OF_LINES;
  const from = Math.max(startLine - margin, 1);
  const to = Math.min(last + margin, lines.length);
  const shown: string[] = [];
  let previous = from - 1;
  for (const number of shownNumbers(from, to, culprit?.start.line ?? from)) {
    if (number > previous + 1) shown.push(GAP);
    previous = number;
    const isMarked = number >= startLine && number <= last;
    shown.push(shownLine(lines[number - 1] ?? "", number, { isMarked, culprit }));
  }
  return `${file}:${startLine}\n${RULE}\n${shown.join("")}${RULE}\n`;
}

/** The one line of the place that says most: that of the culprit, or else the first. Empty as `sourceExcerpt` is. */
export function briefExcerpt({ file, text, startLine, endLine, culprit }: SourceExcerpt): string {
  const number = culprit?.start.line ?? startLine;
  const line = number < 1 ? undefined : text.split("\n", number)[number - 1];
  if (line === undefined) return "";
  const more = culprit === undefined && endLine > startLine ? GAP : "";
  return `${file}:${number}\n${shownLine(line, number, { isMarked: true, culprit })}${more}`;
}

/** Stands for lines that are left out. */
const GAP = "     |     …\n";

interface LineLook {
  readonly isMarked: boolean;
  readonly culprit: SourceExcerpt["culprit"];
}

/** A line with its number, and the carets below it where the culprit begins there. */
function shownLine(line: string, number: number, { isMarked, culprit }: LineLook): string {
  const carets = culprit?.start.line === number ? caretLine(line, culprit) : "";
  const text = line.length > MAX_LINE_CHARACTERS ? `${line.slice(0, MAX_LINE_CHARACTERS)}…` : line;
  return ` ${String(number).padStart(3)} | ${isMarked ? ">>>" : "   "} ${shownText(text)}\n${carets}`;
}

/** Without the credentials of addresses: what is shown ends up in logs that others read. */
function shownText(text: string): string {
  return printable(redactCredentials(text));
}

const RULE = "--------------------";
/** Lines shown before and after a single marked line, and before and after several. */
const CONTEXT_OF_ONE_LINE = 2;
const CONTEXT_OF_LINES = 1;
/** Of more lines than this, only some are shown. */
const MAX_LINES = 30;
/** How many then: at the beginning, at the end, and on either side of the culprit. */
const HEAD_LINES = 12;
const TAIL_LINES = 4;
const CULPRIT_LINES = 3;
/** Of a longer line only the beginning is shown. */
const MAX_LINE_CHARACTERS = 1000;
/** Carets further right than this are left out: terminals wrap such lines. */
const MAX_CARET_COLUMN = 200;

/** The numbers from FROM to TO, both included, or those of them that are worth showing. */
function shownNumbers(from: number, to: number, culprit: number): readonly number[] {
  const isShown = (number: number) =>
    number < from + HEAD_LINES || number > to - TAIL_LINES || Math.abs(number - culprit) <= CULPRIT_LINES;
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return numbers.length > MAX_LINES ? numbers.filter(isShown) : numbers;
}

/** Empty where there is nothing to point at. */
function caretLine(line: string, { start, end }: NonNullable<SourceExcerpt["culprit"]>): string {
  const ending = end.line === start.line ? end.character : line.trimEnd().length;
  const column = textWidth(shownText(line.slice(0, start.character)));
  const width = textWidth(shownText(line.slice(0, ending))) - column;
  if (width <= 0 || column + width > MAX_CARET_COLUMN) return "";
  return `     |     ${" ".repeat(column)}${"^".repeat(width)}\n`;
}
