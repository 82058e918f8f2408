import { redactCredentials } from "../../base/index.js";
import { cut, plainText, VALUE_MAX_LENGTH } from "./shown.js";
import { oneLine } from "./written.js";

/** UTF-16 units ahead of the first that differs. */
const LEAD_LENGTH = 30;

/** Two values as they may be told: of long ones the part in which they differ. */
export function excerpts(was: string, is: string): readonly [was: string, is: string] {
  const texts = [was, is].map((value) => oneLine(redactCredentials(plainText(value))));
  const [from = "", to = ""] = texts;
  const length = Math.max(from.length, to.length);
  if (length <= VALUE_MAX_LENGTH) return [from, to];
  const start = Math.max(0, Math.min(commonLength(from, to) - LEAD_LENGTH, length - VALUE_MAX_LENGTH));
  return [part(from, start), part(to, start)];
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

function part(text: string, start: number): string {
  // A pair of surrogates is one character.
  const first = /^[\uDC00-\uDFFF]/.test(text.slice(start)) ? start + 1 : start;
  const shown = cut(text.slice(first), VALUE_MAX_LENGTH);
  return first === 0 ? shown : `…${shown}`;
}
