/**
 * JSON as Go's encoding/json writes it, which image digests depend on: members in the order they stand in (see `sortedMembers`
 * for maps), `undefined` ones left out, `<`, `>`, `&` and the line separators escaped; indented by two blanks if asked.
 */
export function goJson(value: JsonValue, layout: "compact" | "indented" = "compact"): string {
  return write(value, layout === "indented" ? "\n" : "");
}

/** A value to write. A map stands for an object whose members keep their order, also those with names like `10`. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly JsonValue[]
  | ReadonlyMap<string, JsonValue>;

/** OBJECT as Go writes a map: sorted by the bytes of the names. Nested objects are sorted too. */
export function sortedMembers(object: Readonly<Record<string, unknown>>): ReadonlyMap<string, JsonValue> {
  const entries = Object.entries(object).map(([name, value]) => [name, Buffer.from(name), value] as const);
  entries.sort(([, a], [, b]) => Buffer.compare(a, b));
  return new Map(entries.map(([name, , value]) => [name, sortedValue(value)]));
}

/** Any parsed JSON with sorted members. */
export function sortedValue(value: unknown): JsonValue {
  if (Array.isArray(value)) return value.map(sortedValue);
  if (value !== null && typeof value === "object") return sortedMembers(value as Record<string, unknown>);
  return value as JsonValue;
}

function write(value: JsonValue, lineBreak: string): string {
  if (value === undefined || value === null) return "null";
  if (typeof value !== "object") return escaped(value);
  const inner = lineBreak === "" ? "" : `${lineBreak}  `;
  const colon = lineBreak === "" ? ":" : ": ";
  if (value instanceof Map) {
    const members = [...value].filter(([, member]) => member !== undefined);
    if (members.length === 0) return "{}";
    return `{${inner}${members.map(([name, member]) => escaped(name) + colon + write(member, inner)).join(`,${inner}`)}${lineBreak}}`;
  }
  const items = value as readonly JsonValue[];
  if (items.length === 0) return "[]";
  return `[${inner}${items.map((item) => write(item, inner)).join(`,${inner}`)}${lineBreak}]`;
}

function escaped(value: string | number | boolean): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
