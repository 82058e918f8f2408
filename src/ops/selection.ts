import { canonicalJson, type Digest, EngineError, errorCode, messageOf } from "../base/index.js";
import type { FileSource, Selector } from "../snapshot/index.js";
import type { InputKey, OpContext } from "../solver/index.js";
import { digestOfAll, type OpEnvironment } from "./environment.js";
import { ensureTree } from "./pull.js";
import type { FileResult } from "./result.js";

/** Selects a whole file system. */
export const everything: Selector = {
  path: "/",
  followSymlink: false,
  wildcard: false,
  allowEmptyWildcard: false,
  includes: [],
  excludes: [],
  required: [],
};

interface Where {
  readonly environment: OpEnvironment;
  readonly context: OpContext;
}

/** The digest of what SELECTOR selects of RESULT; of a tree it is computed once and kept. */
export function digestOfSelection(
  result: FileResult,
  selector: Selector,
  { environment, context }: Where,
): Promise<Digest> {
  const { source } = result;
  const options = { signal: context.signal };
  if (source.kind === "context") {
    const known = environment.contextDigests;
    const name = `${source.scanId} ${canonicalJson(selector)}`;
    const found = known.get(name);
    if (found) return found;
    const digest = digestOfContext(source, selector, { environment, context });
    known.set(name, digest);
    return digest;
  }
  return environment.layers.content(source.tree, canonicalJson(selector), async () => {
    await ensureTree(source.tree, environment, context);
    return (await environment.plane.run("contentDigest", { source, selector }, options)).digest;
  });
}

/** The digest of a part of a directory of the caller's, which the build is told was looked at. */
async function digestOfContext(
  source: Extract<FileSource, { kind: "context" }>,
  selector: Selector,
  { environment, context }: Where,
): Promise<Digest> {
  const { scanId, directory } = source;
  try {
    const options = { signal: context.signal, affinity: scanId };
    const { digest, bytes } = await environment.plane.read("contentDigest", { source, selector }, options);
    environment.onContextRead(scanId, bytes);
    return digest;
  } catch (error) {
    environment.onContextRead(scanId, undefined);
    if (errorCode(error) !== "not-found") throw error;
    throw new EngineError(
      "not-found",
      `failed to compute cache key: failed to calculate checksum: ${messageOf(error)}`,
      {
        cause: error,
        hint: `there is no such file in the build context ${directory}, or its .dockerignore leaves it out`,
      },
    );
  }
}

/** An input that counts by the content of what all SELECTORS select of it. */
export function contentInput(selectors: readonly Selector[], environment: OpEnvironment): InputKey<FileResult> {
  const [first, ...more] = selectors;
  return {
    selector: selectors.map((each) => canonicalJson(each)).join("\n"),
    contentDigest: async (result, context) => {
      const where = { environment, context };
      if (first && more.length === 0) return digestOfSelection(result, first, where);
      const digests = await Promise.all(selectors.map((each) => digestOfSelection(result, each, where)));
      return digestOfAll(digests);
    },
  };
}
