import { digestOf, hexOf } from "../../base/index.js";

/** A value as it may be kept and told: cut, without what could be a secret, and with a mark that tells it from any other. */
export interface Told {
  readonly shown: string;
  readonly mark: string;
}

/** UTF-16 units of a value that are told, and of an instruction that are kept. */
export const VALUE_MAX_LENGTH = 100;
const TEXT_MAX_LENGTH = 2_000;
/** Hex digits of a mark. */
const MARK_DIGITS = 16;

/** A value of a variable or an option. */
export function told(value: string): Told {
  return { shown: cut(withoutCredentials(value), VALUE_MAX_LENGTH), mark: markOf(value) };
}

/** An instruction as it was written. */
export function toldText(text: string): Told {
  return { shown: cut(withoutCredentials(text), TEXT_MAX_LENGTH), mark: markOf(text) };
}

/** The same for a value that may not be told at all. */
export function untold(value: string): Told {
  return { shown: "", mark: markOf(value) };
}

/** Whether a variable of that NAME may hold a secret: names as of the build check SecretsUsedInArgOrEnv. */
export function mayBeSecret(name: string): boolean {
  return SECRET_NAME.test(name) && !PUBLIC_NAME.test(name);
}

export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}

const SECRET_NAME =
  /(?:^|_)(?:apikey|auth|credentials?|key|password|passwd|pword|pwd|pass|secret|token)(?:_|$)|(?:password|passwd|secret|token|apikey)$/i;
const PUBLIC_NAME = /(?:^|_)(?:public|file|version)(?:_|$)/i;

function markOf(value: string): string {
  return hexOf(digestOf(value)).slice(0, MARK_DIGITS);
}

/** TEXT without the credentials of addresses in it. */
function withoutCredentials(text: string): string {
  return text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, "$1xxxxx@");
}
