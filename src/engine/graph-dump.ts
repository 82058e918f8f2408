import { Scope } from "../base/index.js";
import { createDockerfileFrontend, type Diagnostic, type FrontendImage } from "../frontend/index.js";
import { definitionBytes, dumpLines, wireGraph } from "../llb/index.js";
import { formatPlatform } from "../oci/index.js";
import type { BuildEngine } from "./build.js";
import { located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import type { BuildInputs } from "./inputs.js";
import { prepareInspection } from "./preparation.js";
import { BuildReport } from "./report.js";
import type { BuildGraph, BuildRequest } from "./request.js";

/**
 * The graphs that a build of REQUEST would solve, one a platform. Base images are resolved, as their configs are part of what
 * is built; nothing is built or pulled. Warnings are told as progress.
 */
export async function buildGraphs(engine: BuildEngine, request: BuildRequest): Promise<readonly BuildGraph[]> {
  await using scope = new Scope();
  const signal = request.signal ?? new AbortController().signal;
  const report = new BuildReport(engine.clock, request.onProgress);
  const onWarning = (diagnostic: Diagnostic, text: string) => report.warn(diagnostic, text);
  const { inputs, bridge } = await prepareInspection({ engine, request, signal, scope, onWarning });
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
