import { Scope } from "../base/index.js";
import {
  checkDockerfile,
  type Diagnostic,
  type FrontendBridge,
  type FrontendRequest,
  listTargets,
  outlineDockerfile,
} from "../frontend/index.js";
import type { BuildEngine } from "./build.js";
import { diagnosticOf } from "./diagnostics.js";
import { located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { prepareInspection } from "./preparation.js";
import { BuildReport } from "./report.js";
import type { BuildRequest } from "./request.js";
import type { CheckReport, OutlineReport, TargetsReport } from "./result.js";

/** Runs the build checks; nothing is built. What would stop a build is part of the report. */
export function checkBuild(engine: BuildEngine, request: BuildRequest): Promise<CheckReport> {
  const report = new BuildReport(engine.clock, request.onProgress);
  const onWarning = (diagnostic: Diagnostic, text: string) => report.warn(diagnostic, text);
  return inspect(engine, { request, onWarning }, async (asked, bridge, signal) => {
    const { diagnostics } = await checkDockerfile(asked, bridge, { signal });
    return { diagnostics: diagnostics.map(diagnosticOf), source: sourceOf(asked) };
  });
}

/** What the target can be given. Images are resolved, nothing is built; warnings are told as progress. */
export function outlineBuild(engine: BuildEngine, request: BuildRequest): Promise<OutlineReport> {
  const report = new BuildReport(engine.clock, request.onProgress);
  const onWarning = (diagnostic: Diagnostic, text: string) => report.warn(diagnostic, text);
  return inspect(engine, { request, onWarning }, async (asked, bridge, signal) => {
    return { ...(await outlineDockerfile(asked, bridge, { signal })), source: sourceOf(asked) };
  });
}

/** The stages of the Dockerfile, from its text alone. */
export function listBuildTargets(engine: BuildEngine, request: BuildRequest): Promise<TargetsReport> {
  const unheard = () => {};
  return inspect(engine, { request, onWarning: unheard }, async (asked) => {
    return { targets: listTargets(asked), source: sourceOf(asked) };
  });
}

interface Inspection {
  readonly request: BuildRequest;
  readonly onWarning: (diagnostic: Diagnostic, text: string) => void;
}

type Ask<T> = (request: FrontendRequest, bridge: FrontendBridge, signal: AbortSignal) => Promise<T>;

/** Lets ASK see what a build of the request would see. An error that has a place in the Dockerfile is thrown with it. */
async function inspect<T>(engine: BuildEngine, { request, onWarning }: Inspection, ask: Ask<T>): Promise<T> {
  await using scope = new Scope();
  const signal = request.signal ?? new AbortController().signal;
  const { inputs, bridge } = await prepareInspection({ engine, request, signal, scope, onWarning });
  try {
    return await ask(frontendRequest(request, inputs), bridge, signal);
  } catch (error) {
    throw located(error, inputs);
  }
}

function sourceOf({ dockerfile: { name, text } }: FrontendRequest) {
  return { file: name, text };
}
