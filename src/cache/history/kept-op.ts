import { digestOf, secretValues } from "../../base/index.js";
import type { DraftVariable, SourceNote } from "./node.js";
import { keptText } from "./shown.js";

/** Values that may not be kept: those that are KNOWN, and those of VARIABLES whose names say so. */
export function secretsOf(variables: readonly DraftVariable[], known: Iterable<string> = []): readonly string[] {
  const own = secretValues(variables.map(({ name, value }) => [name, value] as const));
  // One may be part of another.
  return [...new Set([...own, ...known])].sort((a, b) => b.length - a.length);
}

/** The op as it may be kept; of a process without its environment, which is noted for itself. */
export function keptOp(op: unknown, secrets: readonly string[]): unknown {
  const { exec } = (op ?? {}) as { readonly exec?: { readonly meta?: object } };
  if (exec === undefined) return bounded(op, secrets);
  return bounded({ ...(op as object), exec: { ...exec, meta: { ...exec.meta, env: undefined } } }, secrets);
}

/** The source as it may be kept. */
export function keptSource(source: SourceNote, secrets: readonly string[]): SourceNote {
  if (source.kind === "address") return { ...source, address: keptText(source.address, secrets) };
  return source.kind === "image" ? { ...source, reference: keptText(source.reference, secrets) } : source;
}

/** UTF-16 units of an op that are kept. */
const OP_MAX_LENGTH = 256 * 1024;

/** Members that hold words of the engine's own. */
const WORDS: ReadonlySet<string> = new Set(["kind", "type", "network", "security", "sharing"]);

function bounded(op: unknown, secrets: readonly string[]): unknown {
  const keep = (member: string, value: unknown) =>
    typeof value === "string" && !WORDS.has(member) ? keptText(value, secrets) : value;
  const text = JSON.stringify(op ?? null, keep);
  return text.length <= OP_MAX_LENGTH ? JSON.parse(text) : { digest: digestOf(text) };
}
