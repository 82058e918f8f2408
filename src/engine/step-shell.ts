import { setMaxListeners } from "node:events";
import { canceled, EngineError, Scope } from "../base/index.js";
import {
  createDockerfileFrontend,
  type FrontendBridge,
  type FrontendImage,
  type FrontendRequest,
  requestAt,
} from "../frontend/index.js";
import type { ExecOp, OpNode } from "../llb/index.js";
import { type FileResult, openContainer, openShell, runThere } from "../ops/index.js";
import type { Op, Vertex } from "../solver/index.js";
import type { BuildEngine } from "./build.js";
import { createCatalog } from "./catalog.js";
import { located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { rootOf } from "./graph.js";
import { prepare } from "./preparation.js";
import { BuildReport } from "./report.js";
import { exitCodeOf } from "./run.js";
import type { ShellPlaceName, ShellRequest } from "./shell.js";
import { placeOf } from "./step-address.js";

type StepShellRequest = Omit<ShellRequest, "place"> & Extract<ShellPlaceName, { readonly kind: "step" }>;

/**
 * Runs a shell, or another program, at a step of a build: what stands there is found in the cache, as it would be for a RUN at that place,
 * and the program is given what the RUN would be. Throws `not-found` for a step that the cache has not.
 */
export async function shellInStep(engine: BuildEngine, request: StepShellRequest): Promise<number> {
  await using scope = new Scope();
  const { build } = request;
  const id = engine.newId();
  const signal = request.signal ?? new AbortController().signal;
  if (signal.aborted) throw canceled(signal);
  setMaxListeners(0, signal);
  scope.defer(() => engine.layers.release(id));
  const report = new BuildReport(engine.clock, build.onProgress);
  const catalog = createCatalog(engine.imageSource, false);
  const onWarning = () => {}; // the build has told them
  const parts = { engine, request: build, id, catalog, report, signal, scope, onOp: onlyCached, onWarning };
  const { inputs, bridge, solver } = await prepare(parts);
  try {
    const image = await imageAt(frontendRequest(build, inputs), bridge, { request, signal });
    const vertex = rootOf(image.definition, new Map())?.vertex;
    if (vertex?.definition.op.kind !== "exec")
      throw new EngineError("internal", "a place to run something is no process");
    const { environment, job } = await solver();
    const results = await Promise.all(vertex.inputs.map((edge) => job.solve(edge)));
    const info = { digest: vertex.digest, name: vertex.name, inputs: [] };
    const context = { signal, progress: report, vertex: info };
    const op = changed(vertex.definition.op, request);
    await using container = await openContainer({ ...vertex.definition, op }, results, { environment, context });
    const exit = await container.inside((rootfs) => {
      const place = { plane: engine.plane, executor: environment.executor, process: container.process, rootfs };
      const options = { terminal: request.terminal, signal };
      if (request.args.length > 0) return runThere(place, request.args, options);
      return openShell(place, { ...options, wanted: image.config.config.Shell });
    });
    return exitCodeOf(exit);
  } catch (error) {
    throw located(error, inputs);
  }
}

/** The image that ends with a process at the place that is meant. */
async function imageAt(
  request: FrontendRequest,
  bridge: FrontendBridge,
  { request: { step, side }, signal }: { readonly request: StepShellRequest; readonly signal: AbortSignal },
): Promise<FrontendImage> {
  if (request.platforms.length > 1)
    throw new EngineError("invalid", "a shell is opened in a step of one platform: name it with --platform");
  const solve = async (asked: FrontendRequest): Promise<FrontendImage> => {
    const { images } = await createDockerfileFrontend().solve(asked, bridge, { signal });
    const [image] = images;
    if (!image) throw new EngineError("internal", "a Dockerfile without an image");
    return image;
  };
  const at = await placeOf(step, request, solve);
  return await solve(requestAt({ ...request, noCache: false }, { at, side }));
}

/** OP, run as the request says. */
function changed(op: ExecOp, { env, user, workdir }: StepShellRequest): ExecOp {
  const { meta } = op;
  const cwd = workdir ?? meta.cwd;
  return { ...op, meta: { ...meta, env: [...meta.env, ...env], user: user ?? meta.user, cwd } };
}

/** OP, if it gives what others have made; what is not in the cache is not made for a look at it. */
function onlyCached(op: Op<FileResult>, { name, definition }: Vertex<OpNode>): Op<FileResult> {
  if (definition.op.kind === "source") return op;
  return {
    cacheMap: (context) => op.cacheMap(context),
    exec: () => Promise.reject(notCached(name)),
  };
}

function notCached(name: string): EngineError {
  return new EngineError("not-found", `${name} is not in the cache`, {
    hint: "build it first, with the same options; where it fails, --before opens a shell in its place",
  });
}
