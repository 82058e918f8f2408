import { setMaxListeners } from "node:events";
import {
  type Clock,
  canceled,
  type Digest,
  EngineError,
  errorCode,
  type Flight,
  firstError,
  messageOf,
  Scope,
} from "../base/index.js";
import type { CacheMounts } from "../cache/index.js";
import type { Executor } from "../executor/index.js";
import { createDockerfileFrontend, type FrontendImage } from "../frontend/index.js";
import type { OpMetadata, OpNode } from "../llb/index.js";
import type { Provider } from "../oci/index.js";
import { createResult, type FileResult, type OpEnvironment } from "../ops/index.js";
import type { HttpClient } from "../registry/index.js";
import type { SigningKey } from "../sign/index.js";
import type { DataPlane, LayerStore, StateDirs } from "../snapshot/index.js";
import type { CacheKey, Job, StepLocks, Vertex } from "../solver/index.js";
import type { GitSource, HttpEntities, ImageSource } from "../sources/index.js";
import type { Database } from "../store/index.js";
import { attestedImages } from "./attestations.js";
import type { CacheTransfer } from "./cache-transfer.js";
import { type Catalog, createCatalog, lostLayer } from "./catalog.js";
import { createEarlyPacking, type EarlyPacking } from "./early-packing.js";
import { createExplainer, type Explainer } from "./explainer.js";
import { inspectionOf } from "./failed-container.js";
import { failureAt, isOfEngine, located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { rootOf } from "./graph.js";
import type { BuildInputs } from "./inputs.js";
import type { CacheKeeper } from "./keeper.js";
import { type Leases, leasesFor } from "./leases.js";
import { forgetLost, type LostLayers, noneLost } from "./lost-layers.js";
import { type BuiltImage, checkOutputs, type Outputs, writeOutputs } from "./outputs.js";
import { type Preparation, prepare } from "./preparation.js";
import { BuildReport } from "./report.js";
import type { BuildRequest } from "./request.js";
import type { BuildResult } from "./result.js";
import { openSigningKey } from "./signing.js";
import type { RequestSolver } from "./solver.js";

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
  readonly stepLocks: StepLocks;
  readonly keeper: CacheKeeper;
  readonly outputs: Outputs;
  readonly web: HttpClient;
  readonly entities: HttpEntities;
  readonly gitSource: GitSource;
  readonly cdiDirectories: readonly string[] | undefined;
  readonly clock: Clock;
  /** Places of layers that only a build can read, by their names. */
  readonly lent: Map<string, Provider>;
  readonly newId: () => string;
}

/**
 * Runs one build. Settles when everything it started has ended. Where a file of the context was changed under it, or another machine's
 * cache has lost a layer, everything is looked at once more: what had been made is found in the cache.
 */
export async function runBuild(engine: BuildEngine, request: BuildRequest): Promise<BuildResult> {
  const leases = leasesFor(request);
  const catalog = createCatalog(engine.imageSource, request.pull ?? false);
  const attempt: Attempt = { lost: noneLost(engine), leases, catalog, mayChange: typeof request.context === "string" };
  for (;;) {
    try {
      return await runOnce(engine, request, attempt);
    } catch (error) {
      if (typeof request.context !== "string" || request.signal?.aborted) throw error;
      const code = errorCode(firstError(error));
      if (attempt.mayChange && code === "changed") {
        attempt.mayChange = false;
        warn(request, `the build looks at its context once more: ${messageOf(firstError(error))}`);
      } else if (leases.haveEnded && leases.mayEnd && code === "data-loss") leases.mayEnd = false;
      else if (!(await doesWithout(engine, error, { request, attempt }))) throw error;
    }
  }
}

/**
 * Whether there is a way without the layer of a cache that ERROR says can't be had: it is a base's, which has it, too, or the step is forgotten
 * that made it, and whatever stands on that.
 */
async function doesWithout(
  engine: BuildEngine,
  error: unknown,
  { request, attempt: { lost, catalog } }: { readonly request: BuildRequest; readonly attempt: Attempt },
): Promise<boolean> {
  const layer = lostLayer(error);
  if (!layer) return false;
  const isNew = lost.add(layer);
  const { records, relocated } = await forgetLost(engine, lost, catalog.known());
  if (records > 0) engine.keeper.forgotten();
  const goesOn = isNew || records > 0 || relocated > 0;
  if (goesOn && (records > 0 || relocated === 0)) warn(request, `a cached step is made again: ${layer.message}`);
  return goesOn;
}

function warn({ onProgress }: BuildRequest, message: string): void {
  onProgress?.({ type: "warning", vertex: undefined, warning: { message } });
}

interface Attempt {
  readonly lost: LostLayers;
  readonly leases: Leases;
  /** Images stay what they were. */
  readonly catalog: Catalog;
  /** Whether files of the context may turn out to be others than they were: once. */
  mayChange: boolean;
}

async function runOnce(engine: BuildEngine, request: BuildRequest, attempt: Attempt): Promise<BuildResult> {
  await using build = new Build(engine, request, attempt);
  return await build.run();
}

class Build implements AsyncDisposable {
  readonly #engine: BuildEngine;
  readonly #request: BuildRequest;
  readonly #id: string;
  readonly #scope = new Scope();
  readonly #signal: AbortSignal;
  readonly #report: BuildReport;
  readonly #startedAt: number;
  readonly #attempt: Attempt;
  #packing: EarlyPacking | undefined;
  #explainer: Explainer | undefined;
  #signingKey: SigningKey | undefined;
  #transfer: CacheTransfer | undefined;
  #images: readonly FrontendImage[] = [];

  constructor(engine: BuildEngine, request: BuildRequest, attempt: Attempt) {
    this.#engine = engine;
    this.#attempt = attempt;
    this.#startedAt = engine.clock.now();
    this.#request = request;
    this.#id = engine.newId();
    this.#report = new BuildReport(engine.clock, request.onProgress);
    const closing = new AbortController();
    this.#scope.defer(() => closing.abort(new EngineError("canceled", "the build has ended")));
    this.#signal = request.signal ? AbortSignal.any([request.signal, closing.signal]) : closing.signal;
    this.#scope.defer(() => engine.layers.release(this.#id));
    setMaxListeners(0, this.#signal); // every file that is read listens
  }

  async run(): Promise<BuildResult> {
    if (this.#signal.aborted) throw canceled(this.#signal);
    checkOutputs(this.#request);
    const { sign } = this.#request;
    this.#signingKey = sign && (await openSigningKey(sign));
    await this.#openTransfer();
    const prepared = await this.#prepare();
    try {
      return await this.#build(prepared);
    } catch (error) {
      throw located(error, prepared.inputs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
  }

  /** Opens the caches of other machines, where there are any. */
  async #openTransfer(): Promise<void> {
    const { cacheFrom = [], cacheTo = [] } = this.#request;
    if (cacheFrom.length === 0 && cacheTo.length === 0) return;
    const { openCacheTransfer } = await import("./cache-transfer.js");
    const { lost, catalog } = this.#attempt;
    const parts = { engine: this.#engine, request: this.#request, id: this.#id, progress: this.#report };
    this.#transfer = this.#scope.use(openCacheTransfer({ ...parts, lost, catalog, signal: this.#signal }));
  }

  #prepare(): Promise<Preparation> {
    const report = this.#report;
    return prepare({
      engine: this.#engine,
      request: this.#request,
      id: this.#id,
      catalog: this.#attempt.catalog,
      report,
      signal: this.#signal,
      scope: this.#scope,
      inspection: inspectionOf(this.#request, {
        signal: this.#signal,
        metadata: (digest) => this.#metadata(digest),
      }),
      onMade: (vertex, results) => {
        this.#packing?.made(vertex.digest, results);
        this.#transfer?.made(results);
      },
      imports: (...parts) => this.#transfer?.imports(...parts),
      onMiss: async (account, context) => this.#explainer?.missed(account, context),
      isPassing: (error) => isPassing(error, this.#attempt),
      onWarning: (diagnostic, text) => report.warn(diagnostic, text),
    });
  }

  async #build({ inputs, bridge, solver }: Preparation): Promise<BuildResult> {
    const request = frontendRequest(this.#request, inputs);
    const { images, multiPlatform } = await createDockerfileFrontend().solve(request, bridge, { signal: this.#signal });
    this.#images = images;
    const { environment, job, giveUp } = await solver();
    this.#packEarly(images);
    const explained = { engine: this.#engine, request: this.#request, inputs, images, signal: this.#signal };
    const explainer = createExplainer(explained);
    this.#explainer = explainer;
    const built = await this.#solved(images, { job, environment, inputs, giveUp }).finally(() => {
      // Of what is tried once more, the outcome of that is remembered.
      if (!isPassing(job.failure?.error, this.#attempt)) this.#remember(explainer.remember(job));
    });
    this.#packing?.stop();
    const attesting = { request: this.#request, inputs, environment, startedAt: this.#startedAt, signal: this.#signal };
    const attested = await attestedImages(images, built, attesting);
    const written = await this.#write(job, attested, { sourceDateEpoch: epochOf(images), multiPlatform });
    const { misses, warnings } = this.#report;
    return { ...written, steps: this.#report.steps(job.steps), misses, warnings };
  }

  /** Writes the outputs, and beside them the caches for other machines. */
  async #write(
    job: RequestSolver["job"],
    built: readonly BuiltImage[],
    form: Pick<Parameters<typeof writeOutputs>[2], "sourceDateEpoch" | "multiPlatform">,
  ): Promise<Awaited<ReturnType<typeof writeOutputs>> & Pick<BuildResult, "caches">> {
    const images = (await this.#transfer?.inlined(job, built)) ?? built;
    const writing = {
      ...form,
      request: this.#request,
      progress: this.#report,
      signal: this.#signal,
      clock: this.#engine.clock,
      signingKey: this.#signingKey,
    };
    const work = [writeOutputs(this.#engine.outputs, images, writing), this.#transfer?.finish(job, images)] as const;
    await Promise.allSettled(work);
    const [written, caches = []] = await Promise.all(work);
    return { ...written, caches: caches.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })) };
  }

  /** The build does not end before its history is written; nothing else waits for that. */
  #remember(written: Promise<void>): void {
    this.#scope.defer(() => written);
  }

  #packEarly(images: readonly FrontendImage[]): void {
    const { writer, cores } = this.#engine.outputs;
    const sourceDateEpoch = epochOf(images);
    const parts = { writer, cores, images, sourceDateEpoch, request: this.#request, signal: this.#signal };
    const packing = createEarlyPacking(parts);
    if (packing) this.#packing = this.#scope.use(packing);
  }

  /** The images' trees; a failure is told with the place of its step in the Dockerfile. */
  async #solved(
    images: readonly FrontendImage[],
    { job, environment, inputs, giveUp }: Solving,
  ): Promise<readonly BuiltImage[]> {
    using _ = this.#engine.keeper.attend(() => this.#endLeases(giveUp));
    try {
      return await this.#solveAll(images, job, environment);
    } catch (error) {
      const digest = job.failure?.error === error ? job.failure?.vertex.digest : undefined;
      const known = digest === undefined ? [] : this.#metadata(digest);
      const step = known.find(({ location }) => location?.file === inputs.dockerfile.name);
      if (!step?.location || isOfEngine(error)) throw error;
      throw failureAt(error, inputs, { name: step.name, location: step.location });
    }
  }

  /** Lets go of what the build has done with, for the keeper to remove. */
  async #endLeases(giveUp: RequestSolver["giveUp"]): Promise<void> {
    const { leases } = this.#attempt;
    if (!leases.mayEnd) return;
    leases.haveEnded = true;
    await giveUp();
  }

  #metadata(digest: Digest): readonly OpMetadata[] {
    return this.#images.flatMap(({ definition }) => definition.metadata.get(digest) ?? []);
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

/** Whether ERROR is no failure of the step where it came up, since another look is taken. */
function isPassing(error: unknown, { mayChange }: Attempt): boolean {
  return lostLayer(error) !== undefined || (mayChange && errorCode(firstError(error)) === "changed");
}

/** The time that a build fixes, in whole seconds: the same for all of its platforms. */
function epochOf([image]: readonly FrontendImage[]): number | undefined {
  return image?.epoch && Math.floor(image.epoch.getTime() / 1000);
}

interface Solving extends RequestSolver {
  readonly inputs: BuildInputs;
}
