/** A map and a slice of Go's that nobody made: as text they are empty ones, in JSON null. */
export const NIL_MAP: ReadonlyMap<string, unknown> = new Map();
export const NIL_SLICE: readonly unknown[] = Object.freeze([]);

/**
 * VALUE as Go prints it with %v: `[a b]`, `map[k:v]`, `{1 2}` for what is no map, `<no value>` for nothing; null is a pointer to nothing
 * (`<nil>`).
 */
export function goText(value: unknown): string {
  if (value === undefined) return "<no value>";
  return inner(value);
}

function inner(value: unknown): string {
  if (value === undefined || value === null) return "<nil>";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map(inner).join(" ")}]`;
  if (value instanceof Map)
    return `map[${sorted(value)
      .map(([key, each]) => `${key}:${inner(each)}`)
      .join(" ")}]`;
  if (typeof value === "object") return `{${Object.values(value).map(inner).join(" ")}}`;
  return String(value);
}

/** VALUE as Go's encoding/json writes it: the members of maps sorted; INDENT as of JSON.stringify. */
export function goValueJson(value: unknown, indent?: number): string {
  return JSON.stringify(plain(value), undefined, indent) ?? "null";
}

function plain(value: unknown): unknown {
  if (value === NIL_MAP || value === NIL_SLICE) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries(sorted(value).map(([key, each]) => [key, plain(each)]));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  return value;
}

/** The entries of a map in the order in which Go shows them. */
export function sorted(map: ReadonlyMap<unknown, unknown>): readonly (readonly [string, unknown])[] {
  return [...map].map(([key, value]) => [String(key), value] as const).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Whether a condition holds: not for nothing, false, 0 and what is empty. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return Boolean(value);
}
