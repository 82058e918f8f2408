/** How deep a JSON text may nest: Go's `encoding/json` takes deeper ones for no JSON at all. */
const MAX_DEPTH = 10_000;

/** TEXT as a JSON array, undefined where it is none in the eyes of Go's `encoding/json`. Never throws. */
export function jsonArray(text: string): readonly unknown[] | undefined {
  if (!text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return Array.isArray(value) && isGoJson(value) ? value : undefined;
}

/** Whether Go can hold VALUE: it refuses numbers that are too large, and what nests too deeply. */
function isGoJson(value: readonly unknown[]): boolean {
  const left: { readonly value: unknown; readonly depth: number }[] = [{ value, depth: 1 }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (next.depth > MAX_DEPTH || next.value === Number.POSITIVE_INFINITY || next.value === Number.NEGATIVE_INFINITY) {
      return false;
    }
    if (typeof next.value !== "object" || next.value === null) continue;
    for (const inner of Object.values(next.value)) left.push({ value: inner, depth: next.depth + 1 });
  }
  return true;
}
