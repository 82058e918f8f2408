import { digestOf, mayBeSecret } from "../../base/index.js";
import type { DraftVariable } from "./node.js";
import { keptText } from "./shown.js";

/** Shorter values are words that an op has by itself: `none`, `true`. */
const SECRET_MIN_LENGTH = 8;

/** Values of variables that may not be kept. */
export function secretsOf(variables: readonly DraftVariable[]): readonly string[] {
  const secret = variables.filter(({ name, value }) => value.length >= SECRET_MIN_LENGTH && mayBeSecret(name));
  return secret.map(({ value }) => value);
}

/** The op as it may be kept; of a process without its environment, which is noted for itself. */
export function keptOp(op: unknown, secrets: readonly string[]): unknown {
  const { exec } = (op ?? {}) as { readonly exec?: { readonly meta?: object } };
  if (exec === undefined) return bounded(op, secrets);
  return bounded({ ...(op as object), exec: { ...exec, meta: { ...exec.meta, env: undefined } } }, secrets);
}

/** UTF-16 units of an op that are kept. */
const OP_MAX_LENGTH = 256 * 1024;

function bounded(op: unknown, secrets: readonly string[]): unknown {
  const keep = (_: string, value: unknown) => (typeof value === "string" ? keptText(value, secrets) : value);
  const text = JSON.stringify(op ?? null, keep);
  return text.length <= OP_MAX_LENGTH ? JSON.parse(text) : { digest: digestOf(text) };
}
