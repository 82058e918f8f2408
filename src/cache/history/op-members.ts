import { canonicalJson, type InstructionCause, redactCredentials } from "../../base/index.js";
import { excerpts } from "./excerpt.js";
import { cut, plainText, VALUE_MAX_LENGTH } from "./shown.js";
import { oneLine } from "./written.js";

/*
 * Ops as the history keeps them: JSON of which nothing is certain.
 */

export type Members = Readonly<Record<string, unknown>>;

/** The members of VALUE; none where it is no object. */
export function members(value: unknown): Members {
  return typeof value === "object" && value !== null ? (value as Members) : {};
}

/** The items of VALUE; none where it is no array. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function isEqual(a: unknown, b: unknown): boolean {
  return a === b || canonicalJson(a ?? null) === canonicalJson(b ?? null);
}

/** That a part of an instruction or an option differs: a value is undefined where it is not set. */
export function changed(part: string, from: string | undefined, to: string | undefined): InstructionCause {
  if (from === to) return { kind: "instruction", part };
  return { kind: "instruction", part, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

/** The same of two values, if they differ; of long ones the part that does. */
export function memberDifference(was: unknown, is: unknown, part: string): readonly InstructionCause[] {
  if (isEqual(was, is)) return [];
  const [from, to] = [wordsOf(was), wordsOf(is)];
  if (from === undefined || to === undefined) return [changed(part, shown(was), shown(is))];
  return [changed(part, ...excerpts(from, to))];
}

/** A value as people would write it, in short; undefined for one that is not set. */
export function shown(value: unknown): string | undefined {
  const words = wordsOf(value);
  return words === undefined ? undefined : cut(oneLine(redactCredentials(plainText(words))), VALUE_MAX_LENGTH);
}

function wordsOf(value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string") return value;
  const isList = Array.isArray(value) && value.every((item) => typeof item === "string");
  return isList ? value.join(", ") : canonicalJson(value);
}
