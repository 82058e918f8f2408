import path from "node:path";
import { createLimiter, type Scope } from "../base/index.js";
import { createLocalCache, type LocalCacheManager } from "../cache/index.js";
import type { OpNode } from "../llb/index.js";
import { hostPlatform } from "../oci/index.js";
import { createOp, createResult, type FileResult, type Inspection, type OpEnvironment } from "../ops/index.js";
import type { VertexInfo } from "../progress/index.js";
import { RETRY_DELAYS_MS } from "../registry/index.js";
import { openSecrets, openSshAgents } from "../session/index.js";
import { type CacheManager, createJob, type Job, type JobOptions, type Op, type Vertex } from "../solver/index.js";
import { createHttpDownloads } from "../sources/index.js";
import type { BuildEngine } from "./build.js";
import type { Catalog } from "./catalog.js";
import type { BuildReport } from "./report.js";
import type { BuildRequest } from "./request.js";

/** What solves the graphs of one request. */
export interface RequestSolver {
  readonly environment: OpEnvironment;
  readonly job: Job<OpNode, FileResult>;
  /** Ends the leases on what the job made or found and does not need any more. Only while nothing is solved but what was begun already. */
  readonly giveUp: () => Promise<void>;
}

export interface RequestScope {
  readonly engine: BuildEngine;
  readonly request: BuildRequest;
  /** A name that no other request has. */
  readonly id: string;
  readonly catalog: Catalog;
  readonly report: BuildReport;
  /** Local sources by name. Inputs may have to be solved for before they are known, so it is filled later. */
  readonly directories: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
  /** Told what each step has made. */
  readonly onMade?: ((vertex: VertexInfo, results: readonly FileResult[]) => void) | undefined;
  /** Told of a step that begins to run. Never rejects. */
  readonly onMiss?: JobOptions<OpNode, FileResult>["onMiss"];
  /** Whether an error is no failure of the step where it comes up. */
  readonly isPassing?: JobOptions<OpNode, FileResult>["isPassing"];
  /** Whether images may be pulled. Default: they may. */
  readonly mayPull?: (() => boolean) | undefined;
  /** The caches of other machines, to be looked up after LOCAL; OPEN makes a result of a tree. */
  readonly imports?:
    | ((
        local: CacheManager<FileResult>,
        open: (tree: FileResult["tree"]) => FileResult,
      ) => CacheManager<FileResult> | undefined)
    | undefined;
  /** Who wants to look at steps that fail. */
  readonly inspection?: Inspection | undefined;
  /** Makes another op of one. */
  readonly onOp?: ((op: Op<FileResult>, vertex: Vertex<OpNode>) => Op<FileResult>) | undefined;
  /** Takes what has to be given back when the request ends. */
  readonly scope: Scope;
}

/** Of a random id: enough to tell the temporary files of one engine apart, and short, since some are sockets. */
const TEMPORARY_ID_LENGTH = 8;

/** Makes the solver of a request. Errors: those of the secrets and the agents it lends. */
export async function openSolver(parts: RequestScope): Promise<RequestSolver> {
  const environment = await openEnvironment(parts);
  const { job, cache } = openJob(environment, parts);
  parts.scope.use(job);
  return {
    environment,
    job,
    giveUp: async () => {
      await cache.giveUp(() => job.spare());
    },
  };
}

async function openEnvironment(parts: RequestScope): Promise<OpEnvironment> {
  const { engine, request, id, catalog, report, directories, scope } = parts;
  const { plane, layers, dirs, clock, cacheMounts, executor, web, entities, gitSource, owner, newId } = engine;
  const secrets = await openSecrets(request.secrets ?? []);
  const ssh = await openSshAgents(request.ssh ?? []);
  const temporary = (kind: string) => path.join(dirs.tmp, `${owner}-${kind}-${newId().slice(0, TEMPORARY_ID_LENGTH)}`);
  const downloading = { client: web, entities, secrets, temporary, retryDelaysMs: RETRY_DELAYS_MS };
  return {
    buildId: id,
    plane,
    layers,
    dirs,
    clock,
    secrets,
    ssh,
    temporary,
    cacheMounts,
    executor: { run: async (...args) => (await executor()).run(...args) },
    images: catalog,
    git: gitSource.open({ secrets, ssh, temporary }),
    downloads: scope.use(createHttpDownloads(downloading)),
    directories,
    entitlements: new Set(request.allow ?? []),
    resources: request.resources ?? {},
    inspection: parts.inspection,
    cdiDirectories: engine.cdiDirectories,
    steps: createLimiter(request.maxParallelism ?? Number.POSITIVE_INFINITY),
    pulledBy: new Map(),
    contextDigests: new Map(),
    followedLinks: new Map(),
    contentTrees: new Map(),
    mayPull: parts.mayPull,
    onContext(scanId, vertex) {
      if (!report.contextOpened(scanId, vertex)) return;
      scope.defer(() => plane.read("forgetScan", { scanId }, { affinity: scanId }));
    },
    onContextRead: (scanId, bytes) => report.contextRead(scanId, bytes),
  };
}

function openJob(
  environment: OpEnvironment,
  parts: RequestScope,
): { readonly job: Job<OpNode, FileResult>; readonly cache: LocalCacheManager<FileResult> } {
  const { engine, id, report, signal, onMade, onMiss, isPassing, onOp = (op) => op } = parts;
  const { owner, database, layers, clock, newId, running, stepLocks, keeper } = engine;
  const open = (tree: FileResult["tree"]) => createResult({ kind: "tree", tree }, environment);
  const onSaved = () => keeper.added();
  const cache = createLocalCache<FileResult>({ database, layers, clock, newId, owner, build: id, open, onSaved });
  const platform = hostPlatform(process.arch);
  const imported = parts.imports?.(cache, open);
  const job = createJob<OpNode, FileResult>({
    buildId: id,
    resolveOp: (vertex) => onOp(createOp(vertex.definition, platform, environment), vertex),
    caches: imported ? [cache, imported] : [cache],
    running,
    // Whoever looks at a failed step may do so for hours: nobody else is to wait for that.
    locks: environment.inspection ? undefined : stepLocks,
    progress: report,
    clock,
    signal,
    onMade,
    onMiss,
    isPassing,
  });
  return { job, cache };
}
