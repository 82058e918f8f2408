import fc from "fast-check";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Where in a document something is. */
export type Names = readonly (string | number)[];

/** What is done to a document: at which of its places, by number, and what. */
export interface Mutation {
  readonly place: number;
  readonly change:
    | { readonly kind: "value"; readonly value: Json }
    | { readonly kind: "other"; readonly place: number }
    | { readonly kind: "drop" | "double" | "digit" | "truncate" };
}

const VALUES: readonly Json[] = [null, [], {}, "", "x", -1, 0, 1, 2 ** 53 - 1, 1e300, true, [[]], [[0, 0]]];

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  place: fc.nat(10_000),
  change: fc.oneof(
    fc.record({ kind: fc.constant("value" as const), value: fc.constantFrom(...VALUES) }),
    fc.record({ kind: fc.constant("other" as const), place: fc.nat(10_000) }),
    fc.record({ kind: fc.constantFrom("drop" as const, "double" as const, "digit" as const, "truncate" as const) }),
  ),
});

/** DOCUMENT, changed, as bytes; and where that was. */
export function mutated(
  document: Json,
  { place, change }: Mutation,
): { readonly bytes: Buffer; readonly names: Names } {
  const places = placesOf(document);
  const names = places[place % places.length] ?? [];
  const other = change.kind === "other" ? valueAt(document, places[change.place % places.length] ?? []) : null;
  const bytes = Buffer.from(JSON.stringify(withChange(document, names, change, other)));
  return { bytes: change.kind === "truncate" ? bytes.subarray(0, place % bytes.length) : bytes, names };
}

function placesOf(value: Json, names: Names = []): readonly Names[] {
  if (typeof value !== "object" || value === null) return [names];
  const inner = Array.isArray(value) ? value.map((each, i) => [i, each] as const) : Object.entries(value);
  return [names, ...inner.flatMap(([name, each]) => placesOf(each, [...names, name]))];
}

type Holder = Record<string | number, Json>;

function valueAt(value: Json, names: Names): Json {
  return names.reduce<Json>((at, name) => (at as Holder)[name] ?? null, value);
}

function withChange(document: Json, names: Names, change: Mutation["change"], other: Json): Json {
  const last = names.at(-1);
  if (change.kind === "truncate") return document;
  if (last === undefined) return change.kind === "value" ? change.value : document;
  const copy = structuredClone(document);
  const holder = valueAt(copy, names.slice(0, -1)) as Holder;
  switch (change.kind) {
    case "drop":
      if (Array.isArray(holder)) holder.splice(Number(last), 1);
      else delete holder[last];
      break;
    case "double":
      if (Array.isArray(holder)) holder.push(holder[Number(last)]);
      break;
    case "digit":
      holder[last] = nextTo(holder[last] ?? null);
      break;
    case "value":
      holder[last] = change.value;
      break;
    case "other":
      holder[last] = other;
  }
  return copy;
}

function nextTo(value: Json): Json {
  if (typeof value === "string") return value.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  return typeof value === "number" ? value + 1 : value;
}
