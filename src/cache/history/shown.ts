import { digestOf, hexOf, type MissCause, redactCredentials } from "../../base/index.js";

/** A value as it may be kept and told: cut, without what could be a secret, and with a mark that tells it from any other. */
export interface Told {
  readonly shown: string;
  readonly mark: string;
}

/** UTF-16 units of a value that are told, and of an instruction that are kept. */
export const VALUE_MAX_LENGTH = 100;
const TEXT_MAX_LENGTH = 2_000;
/** Of a value of a variable that is kept: what differs of two may be far behind. */
const KEPT_MAX_LENGTH = 1_000;
/** Hex digits of a mark. */
const MARK_DIGITS = 16;

/** A value of an option. */
export function told(value: string): Told {
  return { shown: cut(redactCredentials(value), VALUE_MAX_LENGTH), mark: markOf(value) };
}

/** A value of a variable as it is kept, to be cut when it is told. */
export function keptValue(value: string): Told {
  return { shown: cut(redactCredentials(value), KEPT_MAX_LENGTH), mark: markOf(value) };
}

/** An instruction as it was written. */
export function toldText(text: string): Told {
  return { shown: cut(redactCredentials(text), TEXT_MAX_LENGTH), mark: markOf(text) };
}

/** The same for a value that may not be told at all. */
export function untold(value: string): Told {
  return { shown: "", mark: markOf(value) };
}

/**
 * TEXT as it may be kept: without credentials, and with a mark of those that were in it, so that others are told from them. The mark is
 * never told: whoever has it can try what a weak secret may be.
 */
export function keptText(text: string, secrets: readonly string[]): string {
  let kept = redactCredentials(text);
  for (const secret of secrets) kept = kept.replaceAll(secret, SECRET);
  return kept === text ? text : `${kept}\0${markOf(text)}`;
}

/** A kept text as it may be told. */
export function plainText(kept: string): string {
  return kept.replaceAll(KEPT_MARK, "");
}

/** Also one that was cut. */
const KEPT_MARK = /\0[0-9a-f]{0,16}/g;

/** A cause as it may be told. */
export function plainCause(cause: MissCause): MissCause {
  const plain: MissCause = JSON.parse(JSON.stringify(cause), (_, value) =>
    typeof value === "string" ? plainText(value) : value,
  );
  if (plain.kind !== "instruction" || plain.from === undefined || plain.from !== plain.to) return plain;
  return { kind: plain.kind, part: plain.part };
}

/** NAME of a step, without the values SECRETS. */
export function keptName(name: string, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => text.replaceAll(secret, SECRET), redactCredentials(name));
}

/** What stands for a value that may not be told. */
const SECRET = "****";

export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}

function markOf(value: string): string {
  return hexOf(digestOf(value)).slice(0, MARK_DIGITS);
}
