import { EngineError } from "../base/index.js";

/** What is said under NAME, as Go reads truth. Throws `invalid`. */
export function flag(attrs: Readonly<Record<string, string>>, name: string, otherwise: boolean): boolean {
  const text = attrs[name];
  if (text === undefined) return otherwise;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new EngineError("invalid", `failed to parse ${name}: ${JSON.stringify(text)} is neither true nor false`);
}
