import {
  type Clock,
  createLimiter,
  type Digest,
  EngineError,
  errorCode,
  type Flight,
  messageOf,
  Scope,
} from "../base/index.js";
import { createLocalCache } from "../cache/index.js";
import type { Executor } from "../executor/index.js";
import {
  createDockerfileFrontend,
  type Diagnostic,
  DiagnosticError,
  type FrontendImage,
  type FrontendRequest,
} from "../frontend/index.js";
import type { OpNode, SourceRange } from "../llb/index.js";
import { formatPlatform, hostPlatform, type Platform, parsePlatform } from "../oci/index.js";
import { type CacheMounts, createOp, createResult, type FileResult, type OpEnvironment } from "../ops/index.js";
import type { ProgressEvent, ProgressSink, VertexInfo, Warning } from "../progress/index.js";
import type { Secrets } from "../session/index.js";
import { openSecrets } from "../session/index.js";
import type { DataPlane, LayerStore, StateDirs } from "../snapshot/index.js";
import { type CacheKey, createJob, type Job, type Vertex } from "../solver/index.js";
import type { ImageSource } from "../sources/index.js";
import type { Database } from "../store/index.js";
import { createBridge, internalVertex, shownAs } from "./bridge.js";
import { type Catalog, createCatalog } from "./catalog.js";
import { rootOf } from "./graph.js";
import { type BuildInputs, readInputs } from "./inputs.js";
import { type BuiltImage, checkOutputs, type Outputs, writeOutputs } from "./outputs.js";
import { BuildFailure, type BuildRequest, type BuildResult, type BuildWarning } from "./request.js";
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
  readonly clock: Clock;
  readonly newId: () => string;
}

/** Runs one build. Settles when everything it started has ended. */
export async function runBuild(engine: BuildEngine, request: BuildRequest): Promise<BuildResult> {
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
  readonly #warnings: BuildWarning[] = [];
  readonly #times = new Map<Digest, { startedAt: number; durationMs: number }>();
  readonly #cached = new Set<Digest>();
  readonly #progress: ProgressSink = { emit: (event) => this.#emit(event) };

  constructor(engine: BuildEngine, request: BuildRequest) {
    this.#engine = engine;
    this.#request = request;
    this.#id = engine.newId();
    const closing = new AbortController();
    this.#scope.defer(() => closing.abort(new EngineError("canceled", "the build has ended")));
    this.#signal = request.signal ? AbortSignal.any([request.signal, closing.signal]) : closing.signal;
    this.#catalog = createCatalog(engine.imageSource, request.pull ?? false);
    this.#scope.defer(() =>
      engine.database.transaction(() => engine.database.run("DELETE FROM lease WHERE build = ?", this.#id)),
    );
  }

  async run(): Promise<BuildResult> {
    this.#signal.throwIfAborted();
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
    return shownAs(
      internalVertex("load build definition"),
      { progress: this.#progress, clock: this.#engine.clock },
      () => readInputs(this.#request, (stream) => openStreamContext(stream, options)),
    );
  }

  async #build(inputs: BuildInputs): Promise<BuildResult> {
    const { plane, clock } = this.#engine;
    const bridge = createBridge({
      catalog: this.#catalog,
      plane,
      directories: inputs.directories,
      progress: this.#progress,
      clock,
      signal: this.#signal,
      onWarning: (diagnostic) => this.#warn(diagnostic, inputs),
    });
    const { images } = await createDockerfileFrontend().solve(frontendRequest(this.#request, inputs), bridge, {
      signal: this.#signal,
    });
    const secrets = await openSecrets(this.#request.secrets ?? []);
    const environment = await this.#environment(inputs, secrets);
    await using job = this.#job(environment);
    const built = await this.#solved(images, { job, environment, inputs });
    const written = await writeOutputs(this.#engine.outputs, built, {
      request: this.#request,
      progress: this.#progress,
      signal: this.#signal,
      clock,
    });
    return { ...written, steps: this.#steps(job), warnings: this.#warnings };
  }

  async #environment(inputs: BuildInputs, secrets: Secrets): Promise<OpEnvironment> {
    const { plane, layers, dirs, clock, cacheMounts, executor } = this.#engine;
    return {
      buildId: this.#id,
      plane,
      layers,
      dirs,
      clock,
      secrets,
      cacheMounts,
      executor: { run: async (...args) => (await executor()).run(...args) },
      images: this.#catalog,
      directories: inputs.directories,
      entitlements: new Set(this.#request.allow ?? []),
      steps: createLimiter(this.#request.maxParallelism ?? Number.POSITIVE_INFINITY),
      pulledBy: new Map(),
      contextDigests: new Map(),
      onContext: (scanId, vertex) => this.#openContext(scanId, vertex),
      onContextRead: (scanId, bytes) => this.#showContext(scanId, bytes),
    };
  }

  readonly #contexts = new Map<string, VertexInfo>();

  /** A local source is read in place: its step begins with the first look and ends with it. */
  #openContext(scanId: string, vertex: VertexInfo): void {
    if (this.#contexts.has(scanId)) return;
    this.#contexts.set(scanId, vertex);
    this.#progress.emit({ type: "vertex-started", vertex, at: this.#engine.clock.now() });
    this.#scope.defer(() => this.#engine.plane.read("forgetScan", { scanId }, { affinity: scanId }));
  }

  #showContext(scanId: string, bytes: number | undefined): void {
    const vertex = this.#contexts.get(scanId);
    if (!vertex) return;
    const at = this.#engine.clock.now();
    if (bytes !== undefined) {
      const count = { current: bytes, unit: "bytes", startedAt: at, done: true } as const;
      this.#progress.emit({ type: "status", vertex: vertex.digest, id: "reading context", at, ...count });
    }
    const outcome = bytes === undefined ? ({ kind: "canceled" } as const) : ({ kind: "done" } as const);
    this.#progress.emit({ type: "vertex-completed", vertex: vertex.digest, at, outcome });
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
      progress: this.#progress,
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
      const places = images.flatMap(({ definition }) => (digest && definition.metadata.get(digest)?.location) ?? []);
      const place = places.find(({ file }) => file === inputs.dockerfile.name);
      if (!place || errorCode(error) === "canceled") throw error;
      throw failureAt(error, inputs, place);
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

  #steps(job: Job<OpNode, FileResult>): BuildResult["steps"] {
    return job.steps.map(({ vertex, cached }) => ({
      name: vertex.name,
      cached,
      durationMs: this.#times.get(vertex.digest)?.durationMs ?? 0,
    }));
  }

  #emit(event: ProgressEvent): void {
    if (event.type === "vertex-cached") {
      if (this.#cached.has(event.vertex.digest)) return;
      this.#cached.add(event.vertex.digest);
    }
    if (event.type === "vertex-started") this.#times.set(event.vertex.digest, { startedAt: event.at, durationMs: 0 });
    if (event.type === "vertex-completed") {
      const time = this.#times.get(event.vertex);
      if (time) time.durationMs = event.at - time.startedAt;
    }
    this.#request.onProgress?.(event);
  }

  #warn({ rule, message, description, url, location }: Diagnostic, inputs: BuildInputs): void {
    const lines = location && inputs.dockerfile.text.split("\n").slice(location.startLine - 1, location.endLine);
    const warning: Warning = {
      message,
      ...(rule === undefined ? {} : { rule }),
      ...(description === undefined ? {} : { description }),
      ...(url === undefined ? {} : { url }),
      ...(location ? { file: location.file, startLine: location.startLine, endLine: location.endLine } : {}),
      ...(lines ? { excerpt: lines } : {}),
    };
    this.#warnings.push(warning);
    this.#progress.emit({ type: "warning", vertex: undefined, warning });
  }
}

/** The platforms a request names; `local` is this machine's. */
export function platformsOf(request: BuildRequest): readonly Platform[] {
  const host = hostPlatform(process.arch);
  const platforms = (request.platforms ?? []).map((text) => parsePlatform(text, host));
  return [...new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()];
}

export function frontendRequest(request: BuildRequest, inputs: BuildInputs): FrontendRequest {
  return {
    dockerfile: inputs.dockerfile,
    dockerignore: inputs.dockerignore,
    target: request.target,
    buildArgs: new Map(Object.entries(request.buildArgs ?? {})),
    labels: new Map(Object.entries(request.labels ?? {})),
    contexts: inputs.contexts,
    platforms: platformsOf(request),
    buildPlatform: hostPlatform(process.arch),
    noCache: request.noCache ?? false,
    network: request.network ?? "default",
    extraHosts: request.extraHosts ?? [],
    ulimits: request.ulimits ?? [],
    shmSizeBytes: request.shmSizeBytes,
    cgroupParent: request.cgroupParent,
  };
}

/** An error with its place in the Dockerfile, where it has one. */
function located(error: unknown, inputs: BuildInputs): unknown {
  if (!(error instanceof DiagnosticError)) return error;
  const place = error.diagnostics.find(({ location }) => location?.file === inputs.dockerfile.name)?.location;
  if (!place) return error;
  return failureAt(error, inputs, place);
}

function failureAt(error: unknown, { dockerfile }: BuildInputs, { startLine, endLine }: SourceRange): BuildFailure {
  const source = { file: dockerfile.name, text: dockerfile.text, startLine, endLine };
  const hint = error instanceof EngineError ? error.hint : undefined;
  return new BuildFailure(errorCode(error), messageOf(error), source, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

interface Solving {
  readonly job: Job<OpNode, FileResult>;
  readonly environment: OpEnvironment;
  readonly inputs: BuildInputs;
}
