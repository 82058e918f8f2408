import { lazy } from "../base/index.js";
import type { Diagnostic, FrontendBridge } from "../frontend/index.js";
import { createBridge, definitionVertex, shownAs } from "./bridge.js";
import { createCatalog } from "./catalog.js";
import { type BuildInputs, readInputs } from "./inputs.js";
import { openMainContext } from "./main-context.js";
import { createRemoteSources } from "./remote-sources.js";
import { BuildReport } from "./report.js";
import { openSolver, type RequestScope, type RequestSolver } from "./solver.js";
import { openStreamContext } from "./stream-context.js";

/** What is known of a request before there is a graph. */
export interface Preparation {
  readonly inputs: BuildInputs;
  /** What the frontend may ask. */
  readonly bridge: FrontendBridge;
  /** Made when it is first needed. */
  readonly solver: () => Promise<RequestSolver>;
}

export interface PreparationOptions extends Omit<RequestScope, "directories"> {
  /** A finding about the Dockerfile, whose TEXT is given too. */
  readonly onWarning: (diagnostic: Diagnostic, text: string) => void;
}

/** Finds and reads what a request names. A context from the network is solved for; nothing else is. */
export async function prepare(options: PreparationOptions): Promise<Preparation> {
  const { engine, request, catalog, report, signal, scope, onWarning } = options;
  const { plane, layers, dirs, owner, clock } = engine;
  const directories = new Map<string, string>();
  const solver = lazy(() => openSolver({ ...options, directories }));
  const remote = createRemoteSources({ solver, plane, signal });
  const main = await openMainContext(request, {
    stream: (stream) => openStreamContext(stream, { plane, layers, dirs, owner, signal, scope }),
    remote: (op) => remote.open(op),
  });
  const inputs = await shownAs(definitionVertex(), { progress: report, clock }, () =>
    readInputs(request, main, (op) => remote.open(op)),
  );
  for (const [name, directory] of inputs.directories) directories.set(name, directory);
  const bridge = createBridge({
    catalog,
    plane,
    directories,
    showPlatform: (request.platforms ?? []).length > 1,
    sourceTime: (op) => remote.time(op),
    progress: report,
    clock,
    signal,
    onWarning: (diagnostic) => onWarning(diagnostic, inputs.dockerfile.text),
  });
  return { inputs, bridge, solver };
}

/** As `prepare`, for who only looks at what a build would be. */
export function prepareInspection(
  options: Pick<PreparationOptions, "engine" | "request" | "signal" | "scope" | "onWarning">,
): Promise<Preparation> {
  const { engine, request, scope } = options;
  const id = engine.newId();
  scope.defer(() => engine.layers.release(id));
  const catalog = createCatalog(engine.imageSource, request.pull ?? false);
  const report = new BuildReport(engine.clock, request.onProgress);
  return prepare({ ...options, id, catalog, report });
}
