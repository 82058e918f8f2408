import { Scope } from "../base/index.js";
import { createDockerfileFrontend, type FrontendImage } from "../frontend/index.js";
import { definitionBytes, dumpLines, wireGraph } from "../llb/index.js";
import { formatPlatform } from "../oci/index.js";
import { createBridge } from "./bridge.js";
import type { BuildEngine } from "./build.js";
import { createCatalog } from "./catalog.js";
import { located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { type BuildInputs, readInputs } from "./inputs.js";
import type { BuildGraph, BuildRequest } from "./request.js";
import { openStreamContext } from "./stream-context.js";

/**
 * The graphs that a build of REQUEST would solve, one a platform. Base images are resolved, as their configs are part of what
 * is built; nothing is built or pulled.
 */
export async function buildGraphs(engine: BuildEngine, request: BuildRequest): Promise<readonly BuildGraph[]> {
  await using scope = new Scope();
  const { plane, layers, dirs, owner, clock } = engine;
  const signal = request.signal ?? new AbortController().signal;
  const inputs = await readInputs(request, (stream) =>
    openStreamContext(stream, { plane, layers, dirs, owner, signal, scope }),
  );
  const bridge = createBridge({
    catalog: createCatalog(engine.imageSource, request.pull ?? false),
    plane,
    directories: inputs.directories,
    progress: { emit: request.onProgress ?? (() => {}) },
    clock,
    signal,
    onWarning: () => {},
  });
  try {
    const frontend = createDockerfileFrontend();
    const { images } = await frontend.solve(frontendRequest(request, inputs), bridge, { signal });
    return images.map((image) => buildGraph(image, inputs));
  } catch (error) {
    throw located(error, inputs);
  }
}

function buildGraph({ definition, platform }: FrontendImage, { dockerfile }: BuildInputs): BuildGraph {
  const graph = wireGraph(definition);
  const name = formatPlatform(platform);
  return {
    platform: name,
    lines: dumpLines(graph, name),
    protobuf: definitionBytes(graph, [{ file: dockerfile.name, text: dockerfile.text }]),
  };
}
