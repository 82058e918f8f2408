/**
 * JSON with keys in the order of their UTF-16 units and no white space: one text per value, so that it can be hashed. `undefined` members
 * are left out; in arrays they are null, as in JSON.stringify.
 */
export function canonicalJson(value: unknown): string {
  const copy = sortedCopy(value);
  return copy === UNSORTABLE ? write(value) : (JSON.stringify(copy) ?? "null");
}

/** Stands for a value that no object can hold in order. */
const UNSORTABLE = Symbol("unsortable");

/** VALUE with the members of objects in order, for JSON.stringify, which is faster than anything written here. */
function sortedCopy(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    const items = value.map(sortedCopy);
    return items.includes(UNSORTABLE) ? UNSORTABLE : items;
  }
  const copy: Record<string, unknown> = {};
  for (const key of inOrder(Object.keys(value))) {
    if (!keepsItsPlace(key)) return UNSORTABLE;
    const member = sortedCopy((value as Readonly<Record<string, unknown>>)[key]);
    if (member === UNSORTABLE) return UNSORTABLE;
    copy[key] = member;
  }
  return copy;
}

/** Sorting takes memory even where nothing is to be moved. */
function inOrder(keys: string[]): string[] {
  for (let i = 1; i < keys.length; i++) if ((keys[i - 1] ?? "") > (keys[i] ?? "")) return keys.sort();
  return keys;
}

/** Objects list numbers first, and `__proto__` is no member like others. */
function keepsItsPlace(key: string): boolean {
  const first = key.charCodeAt(0);
  return (first < DIGIT_0 || first > DIGIT_9 || Number.isNaN(first)) && key !== "__proto__";
}

const DIGIT_0 = 48;
const DIGIT_9 = 57;

function write(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(write).join()}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const members: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const member: unknown = (value as Readonly<Record<string, unknown>>)[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${write(member)}`);
  }
  return `{${members.join()}}`;
}
