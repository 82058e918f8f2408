import { canonicalJson, type Digest, EngineError, errorCode, messageOf } from "../base/index.js";
import type { ContentTree, FileSource, Selector } from "../snapshot/index.js";
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
  /** Keep what a tree holds for explanations: its files are read anyway, and whoever asks for it will most likely run. */
  readonly keepsTree?: boolean;
}

/** The digest of what SELECTOR selects of RESULT; of a tree it is computed once and kept. */
export function digestOfSelection(
  result: FileResult,
  selector: Selector,
  { environment, context, keepsTree = false }: Where,
): Promise<Digest> {
  const { source } = result;
  const options = { signal: context.signal };
  if (source.kind === "context") {
    const known = environment.contextDigests;
    const name = selectionName(source.scanId, selector);
    const found = known.get(name);
    if (found) return found;
    const digest = digestOfContext(source, selector, { environment, context });
    known.set(name, digest);
    return digest;
  }
  return environment.layers.content(source.tree, canonicalJson(selector), async () => {
    await ensureTree(source.tree, environment, context);
    const request = { source, selector, withTree: keepsTree };
    const { digest, tree } = await environment.plane.run("contentDigest", request, options);
    if (tree) environment.contentTrees.set(digest, tree);
    return digest;
  });
}

function selectionName(scanId: string, selector: Selector): string {
  return `${scanId} ${canonicalJson(selector)}`;
}

/** What SELECTOR selects of a directory of the caller's, entry by entry; undefined for any other result. Its files have been read. */
async function treeOfContext(
  { source }: FileResult,
  selector: Selector,
  { environment, context }: Where,
): Promise<ContentTree | undefined> {
  if (source.kind !== "context") return undefined;
  const request = { source, selector, withTree: true };
  const options = { signal: context.signal, affinity: source.scanId };
  return (await environment.plane.read("contentDigest", request, options)).tree;
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
    const { digest, bytes, links } = await environment.plane.read("contentDigest", { source, selector }, options);
    if (links) environment.followedLinks.set(selectionName(scanId, selector), links);
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
      const where = { environment, context, keepsTree: true };
      if (first && more.length === 0) return digestOfSelection(result, first, where);
      const digests = await Promise.all(selectors.map((each) => digestOfSelection(result, each, where)));
      return digestOfAll(digests);
    },
    followed: ({ source }) =>
      source.kind === "context"
        ? selectors.flatMap((each) => environment.followedLinks.get(selectionName(source.scanId, each)) ?? [])
        : [],
    describe: async (result, context): Promise<SelectedTrees> => {
      const where = { environment, context };
      return Promise.all(
        selectors.map(async (each) => {
          const digest = await digestOfSelection(result, each, where);
          return { digest, tree: (await treeOfContext(result, each, where)) ?? environment.contentTrees.get(digest) };
        }),
      );
    },
  };
}

/** What `describe` gives for an input that counts by content: its selections in order, with the entries of those that are known. */
export type SelectedTrees = readonly { readonly digest: Digest; readonly tree: ContentTree | undefined }[];
