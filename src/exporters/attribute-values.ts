import { EngineError } from "../base/index.js";

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** Reads the spellings of a boolean that Go knows. Throws `invalid`. */
export function parseBoolean(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  const reason = `parsing ${JSON.stringify(text)}: invalid syntax`;
  throw new EngineError("invalid", `non-bool value specified for ${name}: ${reason}`);
}

/** Reads a decimal number. Throws `invalid` with the sentence that SAY makes of the reason. */
export function parseInteger(text: string, say: (reason: string) => string): number {
  const number = /^[+-]?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  const reason = Number.isNaN(number) ? "invalid syntax" : "value out of range";
  throw new EngineError("invalid", say(`parsing ${JSON.stringify(text)}: ${reason}`));
}

/** TEXT, or VALUE where it is there but empty. */
export function withDefault(text: string | undefined, value: string): string | undefined {
  return text === "" ? value : text;
}
