/**
 * JSON with keys in the order of their UTF-16 units and no white space: one text per value, so that it can be hashed. `undefined` members
 * are left out; in arrays they are null, as in JSON.stringify.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean" || Number.isFinite(value)) return `${value}`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  return Array.isArray(value) ? list(value) : members(value as Readonly<Record<string, unknown>>);
}

function list(items: readonly unknown[]): string {
  let text = "[";
  for (const item of items) text += (text === "[" ? "" : ",") + canonicalJson(item);
  return `${text}]`;
}

function members(object: Readonly<Record<string, unknown>>): string {
  let text = "{";
  for (const key of sorted(Object.keys(object))) {
    const member = object[key];
    if (member !== undefined) text += `${text === "{" ? "" : ","}${quoted(key)}:${canonicalJson(member)}`;
  }
  return `${text}}`;
}

/** What JSON.stringify writes in another way than it is; of surrogates it does so with those that stand alone. */
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

function quoted(text: string): string {
  return ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** From so many keys on, sorting costs less than moving each to its place. */
const MANY_KEYS = 32;

/** KEYS in order, in place. The built-in sort takes more memory than all else here, and objects have few members. */
function sorted(keys: string[]): readonly string[] {
  if (keys.length >= MANY_KEYS) return keys.sort();
  for (let end = 1; end < keys.length; end++) {
    const key = keys[end] ?? "";
    let at = end;
    for (let left = keys[at - 1]; left !== undefined && left > key; left = keys[at - 1]) keys[at--] = left;
    keys[at] = key;
  }
  return keys;
}
