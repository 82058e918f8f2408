import { setMaxListeners } from "node:events";
import path from "node:path";
import {
  type Clock,
  canceled,
  createLimiter,
  type Digest,
  EngineError,
  errorCode,
  type Flight,
  firstError,
  Scope,
} from "../base/index.js";
import { type CacheMounts, createLocalCache } from "../cache/index.js";
import type { Executor } from "../executor/index.js";
import { createDockerfileFrontend, type FrontendImage } from "../frontend/index.js";
import type { OpNode } from "../llb/index.js";
import { hostPlatform } from "../oci/index.js";
import { createOp, createResult, type FileResult, type OpEnvironment } from "../ops/index.js";
import type { VertexInfo } from "../progress/index.js";
import { type HttpClient, RETRY_DELAYS_MS } from "../registry/index.js";
import { openSecrets, openSshAgents, type Secrets, type SshAgents } from "../session/index.js";
import type { DataPlane, LayerStore, StateDirs } from "../snapshot/index.js";
import { type CacheKey, createJob, type Job, type Vertex } from "../solver/index.js";
import { createHttpDownloads, type GitSource, type HttpEntities, type ImageSource } from "../sources/index.js";
import type { Database } from "../store/index.js";
import { createBridge, internalVertex, shownAs } from "./bridge.js";
import { type Catalog, createCatalog } from "./catalog.js";
import { failureAt, located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { rootOf } from "./graph.js";
import { type BuildInputs, readInputs } from "./inputs.js";
import { type BuiltImage, checkOutputs, type Outputs, writeOutputs } from "./outputs.js";
import { BuildReport } from "./report.js";
import type { BuildRequest, BuildResult } from "./request.js";
import { openStreamContext } from "./stream-context.js";

/** What all builds of an engine share. */
export interface BuildEngine {
  readonly owner: string;
  readonly dirs: StateDirs;
  readonly plane: DataPlane;
  readonly database: Database;
  readonly layers: LayerStore;
  readonly executor: () => Promise<Executor>;
  readonly imageSource: ImageSource;
  readonly cacheMounts: CacheMounts;
  readonly running: Flight<CacheKey, readonly FileResult[]>;
  readonly outputs: Outputs;
  readonly web: HttpClient;
  readonly entities: HttpEntities;
  readonly gitSource: GitSource;
  readonly clock: Clock;
  readonly newId: () => string;
}

/**
 * Runs one build. Settles when everything it started has ended. Where a file of the context was changed under it, everything is looked
 * at once more: what had been made is found in the cache.
 */
export async function runBuild(engine: BuildEngine, request: BuildRequest): Promise<BuildResult> {
  try {
    return await runOnce(engine, request);
  } catch (error) {
    if (errorCode(firstError(error)) !== "changed" || typeof request.context !== "string") throw error;
    return runOnce(engine, request);
  }
}

/** A caller without types may have sent anything. */
function checkRequest({ context }: BuildRequest): void {
  const isStream = typeof context === "object" && context !== null && Symbol.asyncIterator in Object(context.stdin);
  if (typeof context === "string" || isStream) return;
  throw new EngineError("invalid", "a build needs a context: the path of a directory, or { stdin } with a stream");
}

async function runOnce(engine: BuildEngine, request: BuildRequest): Promise<BuildResult> {
  await using build = new Build(engine, request);
  return await build.run();
}

class Build implements AsyncDisposable {
  readonly #engine: BuildEngine;
  readonly #request: BuildRequest;
  readonly #id: string;
  readonly #scope = new Scope();
  readonly #signal: AbortSignal;
  readonly #catalog: Catalog;
  readonly #report: BuildReport;

  constructor(engine: BuildEngine, request: BuildRequest) {
    this.#engine = engine;
    this.#request = request;
    this.#id = engine.newId();
    this.#report = new BuildReport(engine.clock, request.onProgress);
    const closing = new AbortController();
    this.#scope.defer(() => closing.abort(new EngineError("canceled", "the build has ended")));
    this.#signal = request.signal ? AbortSignal.any([request.signal, closing.signal]) : closing.signal;
    this.#catalog = createCatalog(engine.imageSource, request.pull ?? false);
    this.#scope.defer(() => engine.layers.release(this.#id));
    setMaxListeners(0, this.#signal); // every file that is read listens
  }

  async run(): Promise<BuildResult> {
    if (this.#signal.aborted) throw canceled(this.#signal);
    checkRequest(this.#request);
    checkOutputs(this.#request);
    const inputs = await this.#load();
    try {
      return await this.#build(inputs);
    } catch (error) {
      throw located(error, inputs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
  }

  #load(): Promise<BuildInputs> {
    const { plane, layers, dirs, owner } = this.#engine;
    const options = { plane, layers, dirs, owner, signal: this.#signal, scope: this.#scope };
    return shownAs(internalVertex("load build definition"), { progress: this.#report, clock: this.#engine.clock }, () =>
      readInputs(this.#request, (stream) => openStreamContext(stream, options)),
    );
  }

  async #build(inputs: BuildInputs): Promise<BuildResult> {
    const { plane, clock } = this.#engine;
    const bridge = createBridge({
      catalog: this.#catalog,
      plane,
      directories: inputs.directories,
      progress: this.#report,
      clock,
      signal: this.#signal,
      onWarning: (diagnostic) => this.#report.warn(diagnostic, inputs.dockerfile.text),
    });
    const { images } = await createDockerfileFrontend().solve(frontendRequest(this.#request, inputs), bridge, {
      signal: this.#signal,
    });
    const secrets = await openSecrets(this.#request.secrets ?? []);
    const ssh = await openSshAgents(this.#request.ssh ?? []);
    const environment = await this.#environment(inputs, secrets, ssh);
    await using job = this.#job(environment);
    const built = await this.#solved(images, { job, environment, inputs });
    const written = await writeOutputs(this.#engine.outputs, built, {
      request: this.#request,
      progress: this.#report,
      signal: this.#signal,
      clock,
      sourceDateEpoch: epochOf(images),
    });
    return { ...written, steps: this.#report.steps(job.steps), warnings: this.#report.warnings };
  }

  async #environment(inputs: BuildInputs, secrets: Secrets, ssh: SshAgents): Promise<OpEnvironment> {
    const { plane, layers, dirs, clock, cacheMounts, executor, web, entities, gitSource } = this.#engine;
    const temporary = (kind: string) =>
      path.join(dirs.tmp, `${this.#engine.owner}-${kind}-${this.#engine.newId().slice(0, TEMPORARY_ID_LENGTH)}`);
    const options = { client: web, entities, secrets, temporary, retryDelaysMs: RETRY_DELAYS_MS };
    return {
      buildId: this.#id,
      plane,
      layers,
      dirs,
      clock,
      secrets,
      ssh,
      temporary,
      cacheMounts,
      executor: { run: async (...args) => (await executor()).run(...args) },
      images: this.#catalog,
      git: gitSource.open({ secrets, ssh, temporary }),
      downloads: this.#scope.use(createHttpDownloads(options)),
      directories: inputs.directories,
      entitlements: new Set(this.#request.allow ?? []),
      resources: this.#request.resources ?? {},
      steps: createLimiter(this.#request.maxParallelism ?? Number.POSITIVE_INFINITY),
      pulledBy: new Map(),
      contextDigests: new Map(),
      onContext: (scanId, vertex) => this.#openContext(scanId, vertex),
      onContextRead: (scanId, bytes) => this.#report.contextRead(scanId, bytes),
    };
  }

  #openContext(scanId: string, vertex: VertexInfo): void {
    if (!this.#report.contextOpened(scanId, vertex)) return;
    this.#scope.defer(() => this.#engine.plane.read("forgetScan", { scanId }, { affinity: scanId }));
  }

  #job(environment: OpEnvironment): Job<OpNode, FileResult> {
    const { owner, database, layers, clock, newId, running } = this.#engine;
    const cache = createLocalCache<FileResult>({
      database,
      layers,
      clock,
      newId,
      owner,
      build: this.#id,
      open: (tree) => createResult({ kind: "tree", tree }, environment),
    });
    const platform = hostPlatform(process.arch);
    return createJob<OpNode, FileResult>({
      buildId: this.#id,
      resolveOp: (vertex) => createOp(vertex.definition, platform, environment),
      caches: [cache],
      running,
      progress: this.#report,
      clock,
      signal: this.#signal,
    });
  }

  /** The images' trees; a failure is told with the place of its step in the Dockerfile. */
  async #solved(
    images: readonly FrontendImage[],
    { job, environment, inputs }: Solving,
  ): Promise<readonly BuiltImage[]> {
    try {
      return await this.#solveAll(images, job, environment);
    } catch (error) {
      const digest = job.failure?.error === error ? job.failure?.vertex.digest : undefined;
      const known = images.flatMap(({ definition }) => (digest && definition.metadata.get(digest)) ?? []);
      const step = known.find(({ location }) => location?.file === inputs.dockerfile.name);
      if (!step?.location || errorCode(error) === "canceled") throw error;
      throw failureAt(error, inputs, { name: step.name, location: step.location });
    }
  }

  async #solveAll(
    images: readonly FrontendImage[],
    job: Job<OpNode, FileResult>,
    environment: OpEnvironment,
  ): Promise<readonly BuiltImage[]> {
    const known = new Map<Digest, Vertex<OpNode>>();
    return Promise.all(
      images.map(async (image) => {
        const root = rootOf(image.definition, known);
        const result = root ? await job.solve(root) : createResult({ kind: "tree", tree: [] }, environment);
        return { platform: image.platform, tree: result.tree, config: image.config };
      }),
    );
  }
}

/** The time that a build fixes, in whole seconds: the same for all of its platforms. */
function epochOf([image]: readonly FrontendImage[]): number | undefined {
  return image?.epoch && Math.floor(image.epoch.getTime() / 1000);
}

/** Of a random id: enough to tell the temporary files of one engine apart, and short, since some are sockets. */
const TEMPORARY_ID_LENGTH = 8;

interface Solving {
  readonly job: Job<OpNode, FileResult>;
  readonly environment: OpEnvironment;
  readonly inputs: BuildInputs;
}
