import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { createEngine, EngineError } from "../../src/engine/index.js";
import { type Json, type Mutation, mutated, mutation, type Names } from "../remote-cache/mutations.js";
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

const DOCUMENTS = ["config", "config", "config", "config", "manifest", "index"] as const;
type Document = (typeof DOCUMENTS)[number];

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
    fc.asyncProperty(fc.constantFrom(...DOCUMENTS), mutation, async (document, mutation) => {
      const n = seen.runs++;
      const copy = world.path(`cache-${n}`);
      const believed = writeMutated(cache, copy, document, mutation);
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
    { numRuns: Number(process.env.ASHLAR_MUTATIONS ?? 2), endOnFailure: true },
  );
}, 120_000);

/** Writes the layout FROM to COPY with one document changed, all else as it was; whether what was changed is believed. */
function writeMutated(from: string, copy: string, name: Document, mutation: Mutation): boolean {
  fs.cpSync(from, copy, { recursive: true });
  const blob = (digest: string) => path.join(copy, "blobs", ...digest.split(":"));
  const read = (file: string) => JSON.parse(fs.readFileSync(file, "utf8"));
  const index = read(path.join(copy, "index.json"));
  const manifest = read(blob(index.manifests[0].digest));
  const config = read(blob(manifest.config.digest));
  let believed = false;
  const text = (each: Document, value: Json): Buffer => {
    if (each !== name) return Buffer.from(JSON.stringify(value));
    const { bytes, names } = mutated(value, mutation);
    believed = name === "config" && isBelieved(names, mutation.change);
    return bytes;
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
