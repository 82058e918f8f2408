import { canonicalJson, digestOf, EngineError, redactCredentials } from "../base/index.js";
import type { SourceOp } from "../llb/index.js";
import type { CacheMap, Op, OpContext } from "../solver/index.js";
import type { ImagePlatform, OpEnvironment } from "./environment.js";
import { adoptImage } from "./image-layers.js";
import { createResult, type FileResult } from "./result.js";
import { createGitOp } from "./source-git.js";
import { createHttpOp } from "./source-http.js";

/** The op of a source: an image's layers (fetched when something mounts them), or a directory of the caller's, read in place. */
export function createSourceOp(op: SourceOp, platform: ImagePlatform, environment: OpEnvironment): Op<FileResult> {
  const scheme = op.identifier.split("://", 1)[0] ?? "";
  switch (scheme) {
    case "docker-image":
    case "oci-layout":
      return imageOp(op, platform, environment);
    case "local":
      return localOp(op, environment);
    case "http":
    case "https":
      return createHttpOp(op, environment);
    case "git":
      return createGitOp(op, environment);
    default:
      return unsupported(op, scheme);
  }
}

function imageOp(op: SourceOp, platform: ImagePlatform, environment: OpEnvironment): Op<FileResult> {
  let resolved: ReturnType<typeof environment.images.layers> | undefined;
  const resolve = (context: OpContext) =>
    (resolved ??= environment.images.layers(op.identifier, platform, { signal: context.signal }));
  return {
    async cacheMap(context): Promise<CacheMap<FileResult>> {
      const { manifest, layers } = await resolve(context);
      const preimage = { image: manifest, platform };
      return {
        definition: digestOf(canonicalJson(preimage)),
        preimage,
        content: digestOf(canonicalJson({ layers: layers.map(({ diffId }) => diffId) })),
        inputs: [],
        kept: false,
      };
    },
    async exec(_inputs, context) {
      const { layers } = await resolve(context);
      const tree = await adoptImage(environment, op.identifier, { layers, build: environment.buildId });
      const present = tree.every((layer) => environment.layers.info(layer).state === "ready");
      for (const layer of tree) environment.pulledBy.set(layer, context.vertex);
      if (present)
        context.progress.emit({ type: "vertex-cached", vertex: context.vertex, at: environment.clock.now() });
      return [createResult({ kind: "tree", tree }, environment)];
    },
  };
}

function localOp(op: SourceOp, environment: OpEnvironment): Op<FileResult> {
  const name = op.identifier.slice("local://".length);
  return {
    async cacheMap() {
      return { definition: undefined, inputs: [], kept: false };
    },
    async exec(_inputs, context) {
      const directory = environment.directories.get(name);
      if (directory === undefined) throw new EngineError("internal", `no local source ${JSON.stringify(name)}`);
      const excludes = JSON.parse(op.attrs["local.excludepatterns"] ?? "[]") as string[];
      const scanId = digestOf(canonicalJson([environment.buildId, directory, excludes]));
      environment.onContext(scanId, context.vertex);
      return [createResult({ kind: "context", directory, excludes, scanId }, environment)];
    },
  };
}

function unsupported(op: SourceOp, scheme: string): Op<FileResult> {
  const fail = async (): Promise<never> => {
    throw new EngineError("unsupported", `the source ${scheme} is not supported: ${redactCredentials(op.identifier)}`);
  };
  return { cacheMap: fail, exec: fail };
}
