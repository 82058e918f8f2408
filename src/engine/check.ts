import { Scope } from "../base/index.js";
import { checkDockerfile } from "../frontend/index.js";
import { createBridge } from "./bridge.js";
import type { BuildEngine } from "./build.js";
import { createCatalog } from "./catalog.js";
import { frontendRequest } from "./frontend-request.js";
import { readInputs } from "./inputs.js";
import type { BuildRequest, BuildResult } from "./request.js";
import { openStreamContext } from "./stream-context.js";

/** Runs the build checks; nothing is built. What would stop a build is part of the result. */
export async function checkBuild(engine: BuildEngine, request: BuildRequest): Promise<BuildResult> {
  await using scope = new Scope();
  const { plane, layers, dirs, owner, clock } = engine;
  const signal = request.signal ?? new AbortController().signal;
  const inputs = await readInputs(request, (stream) =>
    openStreamContext(stream, { plane, layers, dirs, owner, signal, scope }),
  );
  const catalog = createCatalog(engine.imageSource, request.pull ?? false);
  const progress = { emit: request.onProgress ?? (() => {}) };
  const bridge = createBridge({
    catalog,
    plane,
    directories: inputs.directories,
    progress,
    clock,
    signal,
    onWarning: () => {},
  });
  const { diagnostics } = await checkDockerfile(frontendRequest(request, inputs), bridge, { signal });
  const placed = diagnostics.map(({ location, ...rest }) => ({ ...rest, ...(location ?? {}) }));
  const failure = placed.find(({ severity, rule }) => severity === "error" && rule === undefined);
  return {
    names: [],
    steps: [],
    outputs: [],
    warnings: placed.filter((each) => each !== failure),
    sources: [{ file: inputs.dockerfile.name, text: inputs.dockerfile.text }],
    ...(failure ? { buildError: failure } : {}),
  };
}
