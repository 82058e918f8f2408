import { digestOf, mayHoldSecret, secretValues } from "../../base/index.js";
import type { DraftDerivation, DraftVariable, NotedDerivation, NotedVariable, Settings, SourceNote } from "./node.js";
import { keptText, keptValue, untold } from "./shown.js";

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

/** Variables as they may be kept. */
export function keptVariables(
  variables: readonly DraftVariable[],
  secrets: readonly string[],
): readonly NotedVariable[] {
  return variables.map(({ name, value, variable, isInherited, derivation }) => ({
    name,
    variable,
    ...(mayHoldSecret(name, value, secrets) ? { ...untold(value), isHidden: true } : keptValue(value)),
    ...(isInherited && { isInherited }),
    ...(derivation && { derivation: keptDerivation(derivation, secrets) }),
  }));
}

function keptDerivation({ text, names, roots }: DraftDerivation, secrets: readonly string[]): NotedDerivation {
  return { mark: untold(text).mark, names, roots: keptVariables(roots, secrets) };
}

/** The settings as they may be kept. */
export function keptSettings(
  { WORKDIR, USER }: Settings<DraftDerivation>,
  secrets: readonly string[],
): Settings<NotedDerivation> {
  return {
    ...(WORKDIR && { WORKDIR: keptDerivation(WORKDIR, secrets) }),
    ...(USER && { USER: keptDerivation(USER, secrets) }),
  };
}

/** Words of an instruction as they may be kept. */
export function keptWords(words: readonly string[], secrets: readonly string[]): readonly string[] {
  return words.slice(0, WORDS_MAX).map((word) => keptText(word, secrets));
}

/** More are an affair of the op. */
const WORDS_MAX = 1_000;

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
