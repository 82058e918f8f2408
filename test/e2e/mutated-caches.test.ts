import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { createEngine, EngineError } from "../../src/engine/index.js";
import { BASE_LAYOUT, World } from "./world.js";

const DOCKERFILE = `FROM base AS one
RUN echo one > /one
RUN --mount=type=bind,source=file,target=/file cat /file /one > /two
FROM base
WORKDIR /w
COPY --from=one /two /w/two
RUN cat /w/two > /w/three
COPY LAST /w/last
`;

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What is done to a document: at which of its places, numbered, and what. */
interface Mutation {
  readonly document: "index" | "manifest" | "config";
  readonly place: number;
  readonly change:
    | { readonly kind: "value"; readonly value: Json }
    | { readonly kind: "other"; readonly place: number }
    | Plain;
}
type Plain = { readonly kind: "drop" | "double" | "digit" | "truncate" };

const mutation: fc.Arbitrary<Mutation> = fc.record({
  document: fc.constantFrom("config", "config", "config", "config", "manifest", "index"),
  place: fc.nat(10_000),
  change: fc.oneof(
    fc.record({
      kind: fc.constant("value" as const),
      value: fc.constantFrom<Json>(null, [], {}, "", "x", -1, 0, 1, 2 ** 53 - 1, 1e300, true, [[]], [[0, 0]]),
    }),
    fc.record({ kind: fc.constant("other" as const), place: fc.nat(10_000) }),
    fc.record({ kind: fc.constantFrom("drop" as const, "double" as const, "digit" as const, "truncate" as const) }),
  ),
});

/** Whether what a place says is believed: which layers the results are, and of which steps. */
const isBelieved = (names: Names, { kind }: Mutation["change"]) =>
  names[0] === "chains" ||
  names[0] === "layers" ||
  names[2] === "results" ||
  (kind === "other" && names[0] === "records" && names[2] === "keys");

/** ASHLAR_MUTATIONS: how many documents are tried. */
test("whatever a cache's documents say, a build succeeds, and one after it that doesn't look there", async () => {
  await using world = new World();
  const context = (last: string) =>
    world.files({ Dockerfile: DOCKERFILE.replace("LAST", last), file: "file\n", a: "a\n", b: "b\n" }, "context");
  const cache = world.path("cache");
  await using first = await createEngine({ root: world.path("first"), env: process.env });
  const buildContexts = { base: `oci-layout://${BASE_LAYOUT}:latest` };
  await first.build({
    context: context("a"),
    buildContexts,
    cacheTo: [{ type: "local", attrs: { dest: cache, mode: "max" } }],
  });
  const seen = { runs: 0 };
  await fc.assert(
    fc.asyncProperty(mutation, async (mutation) => {
      const n = seen.runs++;
      const copy = world.path(`cache-${n}`);
      const believed = writeMutated(cache, copy, mutation);
      const root = world.path(`root-${n}`);
      await using engine = await createEngine({ root, env: process.env });
      for (const cacheFrom of [[{ type: "local" as const, attrs: { src: copy } }], []]) {
        const dest = world.path("out");
        try {
          await engine.build({ context: context("b"), buildContexts, cacheFrom, outputs: [{ type: "local", dest }] });
          const read = (name: string) => fs.readFileSync(path.join(dest, "w", name), "utf8");
          if (!believed) expect(["two", "three", "last"].map(read)).toEqual(["file\none\n", "file\none\n", "b\n"]);
        } catch (error) {
          if (!believed || !(error instanceof EngineError) || error.code === "internal") throw error;
        } finally {
          fs.rmSync(dest, { recursive: true, force: true });
        }
      }
      fs.rmSync(copy, { recursive: true });
    }),
    { numRuns: Number(process.env.ASHLAR_MUTATIONS ?? 5), endOnFailure: true },
  );
}, 120_000);

/** Writes the layout FROM to COPY with one document changed, all else as it was; whether what was changed is believed. */
function writeMutated(from: string, copy: string, { document, place, change }: Mutation): boolean {
  fs.cpSync(from, copy, { recursive: true });
  const blob = (digest: string) => path.join(copy, "blobs", ...digest.split(":"));
  const read = (file: string) => JSON.parse(fs.readFileSync(file, "utf8"));
  const index = read(path.join(copy, "index.json"));
  const manifest = read(blob(index.manifests[0].digest));
  const config = read(blob(manifest.config.digest));
  let believed = false;
  const text = (name: Mutation["document"], value: Json): Buffer => {
    if (name !== document) return Buffer.from(JSON.stringify(value));
    const all = placesOf(value);
    const names = all[place % all.length] ?? [];
    believed = name === "config" && isBelieved(names, change);
    const whole = Buffer.from(JSON.stringify(mutated(value, names, all, change)));
    return change.kind === "truncate" ? whole.subarray(0, place % whole.length) : whole;
  };
  const put = (bytes: Buffer) => {
    const digest = digestOf(bytes);
    fs.writeFileSync(blob(digest), bytes);
    return { digest, size: bytes.length };
  };
  Object.assign(manifest.config, put(text("config", config)));
  Object.assign(index.manifests[0], put(text("manifest", manifest)));
  fs.writeFileSync(path.join(copy, "index.json"), text("index", index));
  return believed;
}

type Names = readonly (string | number)[];

/** Every place of VALUE. */
function placesOf(value: Json, names: Names = []): readonly Names[] {
  if (typeof value !== "object" || value === null) return [names];
  const inner = Array.isArray(value) ? value.map((each, i) => [i, each] as const) : Object.entries(value);
  return [names, ...inner.flatMap(([name, each]) => placesOf(each, [...names, name]))];
}

function mutated(value: Json, names: Names, all: readonly Names[], change: Mutation["change"]): Json {
  const [name, ...rest] = names;
  if (change.kind === "truncate") return value;
  if (name === undefined) return changed(value, change, value);
  const copy = structuredClone(value) as Record<string | number, Json>;
  let holder = copy;
  const path = [name, ...rest];
  for (const each of path.slice(0, -1)) holder = holder[each] as Record<string | number, Json>;
  const last = path.at(-1) ?? "";
  if (change.kind === "drop" && Array.isArray(holder)) holder.splice(Number(last), 1);
  else if (change.kind === "drop") delete holder[last];
  else if (change.kind === "double" && Array.isArray(holder)) holder.push(holder[Number(last)]);
  else if (change.kind === "other") holder[last] = valueAt(value, all[change.place % all.length] ?? []);
  else holder[last] = changed(holder[last] ?? null, change, value);
  return copy;
}

function changed(value: Json, change: Mutation["change"], _whole: Json): Json {
  if (change.kind === "value") return change.value;
  if (change.kind === "digit" && typeof value === "string")
    return value.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  if (change.kind === "digit" && typeof value === "number") return value + 1;
  return value;
}

function valueAt(value: Json, names: Names): Json {
  return names.reduce<Json>((at, name) => (at as Record<string | number, Json>)[name] ?? null, value);
}
