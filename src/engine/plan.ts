import { type Digest, type Miss, Scope } from "../base/index.js";
import { createDockerfileFrontend, type FrontendImage } from "../frontend/index.js";
import type { OpNode } from "../llb/index.js";
import type { ProgressEvent, VertexInfo } from "../progress/index.js";
import type { PlannedVertex, Vertex } from "../solver/index.js";
import type { BuildEngine } from "./build.js";
import type { CacheTransfer, TransferScope } from "./cache-transfer.js";
import { createCatalog } from "./catalog.js";
import { openExplanations } from "./explanations.js";
import { located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { rootOf } from "./graph.js";
import { noneLost } from "./lost-layers.js";
import { type PullsScope, plannedPulls } from "./planned-pulls.js";
import { type Preparation, prepare } from "./preparation.js";
import { BuildReport } from "./report.js";
import type { BuildRequest } from "./request.js";
import type { BuildPlan, PlannedStep } from "./result.js";
import type { RequestSolver } from "./solver.js";

/**
 * What a build of REQUEST would do. Nothing runs, is made or pulled but the configs of base images, the indexes of other machines' caches,
 * and the context and the Dockerfile where they come from the network.
 */
export async function planBuild(engine: BuildEngine, request: BuildRequest): Promise<BuildPlan> {
  await using scope = new Scope();
  const signal = request.signal ?? new AbortController().signal;
  const id = engine.newId();
  scope.defer(() => engine.layers.release(id));
  const report = new BuildReport(engine.clock, request.onProgress);
  const catalog = createCatalog(engine.imageSource, request.pull ?? false);
  let isPlanning = false;
  const transfer = await openLookup(
    { engine, request, id, lost: noneLost(engine), catalog, progress: report, signal },
    scope,
  );
  const prepared = await prepare({
    ...{ engine, request, id, catalog, report, signal, scope },
    mayPull: () => !isPlanning,
    imports: (...parts) => transfer?.imports(...parts),
    onWarning: (diagnostic, text) => report.warn(diagnostic, text),
  });
  try {
    const frontend = createDockerfileFrontend();
    const { images } = await frontend.solve(frontendRequest(request, prepared.inputs), prepared.bridge, { signal });
    const solver = await prepared.solver();
    isPlanning = true;
    const elsewhere: PullsScope["elsewhere"] = (record) => transfer?.layers(record);
    return await planOf({ engine, request, images, prepared, solver, elsewhere, signal });
  } catch (error) {
    throw located(error, prepared.inputs);
  }
}

/** The caches of other machines, to be looked into alone. */
async function openLookup(parts: Omit<TransferScope, "isLookup">, scope: Scope): Promise<CacheTransfer | undefined> {
  const { cacheFrom = [], cacheTo = [] } = parts.request;
  if (cacheFrom.length === 0 && cacheTo.length === 0) return undefined;
  const { openCacheTransfer } = await import("./cache-transfer.js");
  return scope.use(openCacheTransfer({ ...parts, isLookup: true }));
}

interface Planning {
  readonly engine: BuildEngine;
  readonly request: BuildRequest;
  readonly images: readonly FrontendImage[];
  readonly prepared: Preparation;
  readonly solver: RequestSolver;
  /** The layers of each output of a record that only another machine's cache has. */
  readonly elsewhere: PullsScope["elsewhere"];
  readonly signal: AbortSignal;
}

async function planOf(planning: Planning): Promise<BuildPlan> {
  const { images, request, solver } = planning;
  const known = new Map<Digest, Vertex<OpNode>>();
  const roots = images.flatMap(({ definition }) => rootOf(definition, known) ?? []);
  const planned = await solver.job.plan(roots);
  const kept = planned.filter(({ account }) => isStep(known.get(account.vertex.digest)));
  const users = usersOf(planned, images);
  const isMade = (id: Digest) => known.get(id)?.definition.op.kind !== "source";
  const causes = await causesOf(planned, (id) => (isMade(id) ? users.get(id)?.digest : undefined), planning);
  const steps = kept.map((each) => plannedStep(each, causes, users));
  const results = roots.map(({ vertex, index }) => ({ vertex: vertex.digest, index }));
  const { outputs = [] } = request;
  const { environment } = solver;
  const pulls = await plannedPulls({ ...planning, environment, planned, results, outputs, vertices: known });
  return { steps, pulls, isCached: kept.every(({ plan }) => plan.kind === "cached") };
}

/** Images and directories are there, or are pulled where they are needed. */
function isStep(vertex: Vertex<OpNode> | undefined): boolean {
  const op = vertex?.definition.op;
  return op?.kind !== "source" || !/^(?:docker-image|oci-layout|local):/.test(op.identifier);
}

type Misses = ReadonlyMap<Digest, Miss>;

/** Why steps would run, as the events of a build would tell it. MADEFOR: the step that something is made for without running anything. */
async function causesOf(
  planned: readonly PlannedVertex[],
  madeFor: (id: Digest) => Digest | undefined,
  planning: Planning,
): Promise<Misses> {
  const { engine, request, images, prepared, signal } = planning;
  const causes = new Map<Digest, Miss>();
  const running = planned.filter(({ plan }) => plan.kind === "run");
  if (running.length === 0) return causes;
  const emit = (event: ProgressEvent) => {
    if (event.type === "vertex-missed") causes.set(event.vertex, event.miss);
  };
  const explanations = await openExplanations({ engine, request, inputs: prepared.inputs, images, signal });
  for (const { account } of running)
    await explanations.explain(account, { signal, vertex: account.vertex, progress: { emit } });
  // The text of a heredoc is made for the reason that its step has, which depends on it.
  for (const { account } of running) {
    const { digest } = account.vertex;
    const user = planned.find((each) => each.account.vertex.digest === madeFor(digest));
    if (user?.plan.kind !== "depends" || causes.has(digest)) continue;
    await explanations.explain(user.account, { signal, vertex: user.account.vertex, progress: { emit } });
    const own = causes.get(user.account.vertex.digest)?.causes.filter(({ step }) => step === undefined) ?? [];
    if (own.length > 0) causes.set(digest, { causes: own, omitted: 0 });
  }
  return causes;
}

/** Of what is no step of the Dockerfile, but is made for one, the first step that has it. */
function usersOf(planned: readonly PlannedVertex[], images: readonly FrontendImage[]): ReadonlyMap<Digest, VertexInfo> {
  const isOfFile = (id: Digest) => images.some(({ definition }) => definition.metadata.get(id)?.step !== undefined);
  const users = new Map<Digest, VertexInfo>();
  for (const { account } of planned)
    if (isOfFile(account.vertex.digest))
      for (const { account: input } of account.inputs) {
        const { digest } = input.vertex;
        if (!isOfFile(digest) && !users.has(digest)) users.set(digest, account.vertex);
      }
  return users;
}

function plannedStep(
  { account: { vertex }, plan }: PlannedVertex,
  causes: Misses,
  users: ReadonlyMap<Digest, VertexInfo>,
): PlannedStep {
  const step = { name: vertex.name, vertex: vertex.digest };
  switch (plan.kind) {
    case "depends": {
      const user = users.get(plan.on.digest);
      const on = user === undefined || user.digest === vertex.digest ? plan.on : user;
      return { ...step, state: "depends", on: on.name };
    }
    case "run": {
      const why = causes.get(vertex.digest);
      return { ...step, state: "run", ...why };
    }
    case "source":
      return { ...step, state: "cached" };
    case "cached": {
      const { place } = plan.record ?? {};
      return { ...step, state: "cached", ...(place === undefined ? {} : { cache: place }) };
    }
  }
}
