import { type Clock, type Digest, digestOf, EngineError, errorCode, type Flight, lazy } from "../base/index.js";
import type { VertexInfo } from "../progress/index.js";
import { KeptAccount, partId, type VertexAccount, WHOLE } from "./account.js";
import {
  type CacheKey,
  type CacheManager,
  type CacheRecord,
  type ContentPart,
  type ExplainedKey,
  explainedKey,
  type FindOptions,
  type InputPart,
} from "./cache-manager.js";
import type { CacheMap, InputKey, Op, OpContext, Result } from "./op.js";
import type { StepLocks } from "./step-locks.js";
import { Undecided } from "./undecided.js";
import type { Vertex } from "./vertex.js";
import { runOnce, type VertexRun } from "./vertex-run.js";

/** Where a vertex's results are: a record of one of the build's caches. */
export interface Location<R extends Result> {
  readonly cache: CacheManager<R>;
  readonly record: CacheRecord;
}

/** What the tasks of one build share. */
export interface TaskScope<R extends Result> {
  /** Looked up in this order; the first takes what is made. */
  readonly caches: readonly [CacheManager<R>, ...CacheManager<R>[]];
  /** Shared by the builds of a process: a step that runs already for another build is waited for. */
  readonly running: Flight<CacheKey, readonly R[]>;
  /** Shared with other processes; undefined where nobody is waited for. */
  readonly locks: StepLocks | undefined;
  readonly clock: Clock;
  /** Distinguishes runs that may not be shared with other builds. */
  readonly buildId: string;
  /** Goes up when a record turned out to be lost: answers made from it are asked again. */
  epoch: number;
  /** Whether nothing may run: whoever would asks for something that is undecided. */
  isDry: boolean;
  /** Keeps a result until the build ends. */
  own(result: R): void;
  /** The build does not end before this has settled. */
  track<T>(work: Promise<T>): Promise<T>;
  /** Whether an error is no failure of whom it comes up at. */
  isPassing(error: unknown): boolean;
  /** Told where an error came from, before anything that it makes fail. */
  onFailure(vertex: VertexInfo, error: unknown): void;
  /** Told what an op has made, before its consumers get it. */
  onMade(vertex: VertexInfo, results: readonly R[]): void;
  /** Told of a vertex that begins to run; its end is not told before this has settled. */
  onMiss(account: VertexAccount, context: OpContext): Promise<void>;
  /** Told once per vertex, before its consumers. */
  onVertex(vertex: VertexInfo, cached: boolean): void;
}

interface Input<R extends Result> {
  readonly task: VertexTask<R>;
  readonly index: number;
}

/** What becomes of a vertex: `source` of one that is never looked up. A cached one that nobody needs may have no record. */
export type Plan =
  | { readonly kind: "source" | "run" }
  | { readonly kind: "cached"; readonly record?: CacheRecord | undefined }
  | { readonly kind: "depends"; readonly on: VertexInfo };

/**
 * One vertex within one build. Each question is answered at most once, and only if someone asks it, so that nothing is loaded, pulled
 * or run that a hit further up makes needless. Past 300 lines because its questions share their private answers.
 */
export class VertexTask<R extends Result> {
  readonly info: VertexInfo;
  readonly #op: Op<R>;
  readonly #inputs: readonly Input<R>[];
  #located: Location<R> | undefined;
  readonly #ignoreCache: boolean;
  readonly #scope: TaskScope<R>;
  readonly #context: OpContext;
  readonly #contents = new Map<string, { readonly epoch: number; readonly digest: Promise<Digest> }>();
  /** What was found out, for explanations. */
  readonly account: KeptAccount<R>;
  #reported = false;

  constructor(
    vertex: Vertex<unknown>,
    op: Op<R>,
    inputs: readonly Input<R>[],
    scope: TaskScope<R>,
    context: Omit<OpContext, "vertex">,
  ) {
    this.info = { digest: vertex.digest, name: vertex.name, inputs: vertex.inputs.map((edge) => edge.vertex.digest) };
    this.#op = op;
    this.#inputs = inputs;
    this.#ignoreCache = vertex.ignoreCache;
    this.#scope = scope;
    this.#context = { ...context, vertex: this.info };
    const sources = inputs.map(({ task, index }) => ({ account: task.account, index }));
    this.account = new KeptAccount(this.info, vertex.ignoreCache, sources);
  }

  get inputs(): readonly Input<R>[] {
    return this.#inputs;
  }

  get context(): OpContext {
    return this.#context;
  }

  /** Whether its results are there, and kept where they are to be. */
  isDone = false;

  /** The ids of all records that it may still load, be they its own or another vertex's. */
  readonly found = new Set<string>();

  /** Where this build found or kept the results; undefined as long as nobody has needed them. */
  get location(): Location<R> | undefined {
    return this.#saved ?? (this.account.isLost ? undefined : this.#located);
  }

  readonly cacheMap = lazy(() =>
    this.#blamed(async () => {
      const map = await this.#op.cacheMap(this.#context);
      this.account.map = map;
      return map;
    }),
  );

  /** Whether anything from here down runs whatever is in the cache: then definitions say nothing of what this build has there. */
  readonly reruns: () => Promise<boolean> = lazy(async () => {
    const rerun = await Promise.all(this.#inputs.map(({ task }) => task.reruns()));
    return this.#ignoreCache || rerun.includes(true);
  });

  /** Whether such a vertex is counted here by its key: then its new contents must stand for it. */
  readonly #fresh: () => Promise<boolean> = lazy(async () => {
    if (this.#ignoreCache) return true;
    const map = await this.cacheMap();
    const fresh = await Promise.all(this.#inputs.map(({ task }, i) => !map.inputs[i]?.contentDigest && task.#fresh()));
    return fresh.includes(true);
  });

  /** The key by definitions alone: costs no file access. Undefined where some definition below says nothing. */
  readonly definitionKey: () => Promise<ExplainedKey | undefined> = lazy(async () => {
    const { definition, inputs } = await this.cacheMap();
    if (!definition) return undefined;
    const keys = await Promise.all(this.#inputs.map(({ task }) => task.definitionKey()));
    const parts: InputPart[] = [];
    for (const [i, key] of keys.entries()) {
      if (!key) return undefined;
      parts.push(part(key.key, this.#inputs[i], inputs[i]));
    }
    return explainedKey({ v: 1, op: definition, inputs: parts });
  });

  /** The key by content: of every input the selected content where the op selects, else the input's own content key. */
  readonly contentKey: () => Promise<ExplainedKey> = this.#perEpoch(() =>
    this.#blamed(async () => {
      const key = await this.#keyByContent((task) => task.#portableIdentity());
      this.account.key = key.key;
      return key;
    }),
  );

  /** As `contentKey`, but what ran in this build although it was in the cache counts by the contents it has now. */
  readonly #freshKey: () => Promise<ExplainedKey> = this.#perEpoch(() =>
    this.#blamed(async () => {
      if (!(await this.#fresh())) return this.contentKey();
      if (!this.#ignoreCache) return this.#keyByContent(async (task) => (await task.#freshKey()).key);
      const results = await this.results();
      const digests = await Promise.all(results.map((result) => result.contentDigest(this.#context)));
      return explainedKey({ v: 1, result: digestOf(digests.join()) });
    }),
  );

  /** The record's own content key where there is a record: it needs no input to be looked at. */
  async #portableIdentity(): Promise<CacheKey> {
    const map = await this.cacheMap();
    if (map.kept && !this.account.isLost && !(await this.reruns())) {
      const definition = await this.definitionKey();
      const location = definition && (await this.#find(definition.key));
      if (location) {
        this.account.key ??= location.record.contentKey;
        return location.record.contentKey;
      }
    }
    return (await this.contentKey()).key;
  }

  async #keyByContent(identity: (task: VertexTask<R>) => Promise<CacheKey>): Promise<ExplainedKey> {
    const map = await this.cacheMap();
    const op = map.content ?? map.definition;
    if (!op)
      return explainedKey({
        v: 1,
        result: await this.contentOf({ index: 0, selector: WHOLE }, (result) => result.contentDigest(this.#context)),
      });
    const parts = await Promise.all(
      this.#inputs.map(async ({ task, index }, i): Promise<InputPart> => {
        const input = map.inputs[i];
        const digest = input?.contentDigest;
        if (!digest) return part(await identity(task), { index }, input);
        const wanted = { index, selector: input.selector ?? WHOLE };
        if (await task.#mustRun()) this.#startInputs();
        return { content: await task.contentOf(wanted, (result) => digest(result, this.#context)) };
      }),
    );
    return explainedKey({ v: 1, op, inputs: parts });
  }

  /** Whether only running the op can tell what it makes. */
  readonly #mustRun: () => Promise<boolean> = lazy(
    async () => (await this.cacheMap()).kept && (await this.locate()) === undefined,
  );

  /**
   * Once one input has to run for this vertex to be looked up, the others that have to run do so beside it: they are needless only if this
   * vertex is found although they were not.
   */
  readonly #startInputs: () => void = lazy(() => {
    for (const { task } of this.#inputs) {
      const started = task.#mustRun().then((runs) => (runs ? task.results() : undefined));
      this.#scope.track(started).catch(() => {}); // whoever needs the results hears of it
    }
  });

  /** The digest of a part of the result: from the record if it is noted there, else from the result itself. */
  contentOf(wanted: ContentPart, compute: (result: R) => Promise<Digest>): Promise<Digest> {
    const id = partId(wanted);
    const known = this.#contents.get(id);
    if (known?.epoch === this.#scope.epoch) return known.digest;
    const digest = this.#contentOf(wanted, compute);
    this.#contents.set(id, { epoch: this.#scope.epoch, digest });
    return digest;
  }

  async #contentOf(wanted: ContentPart, compute: (result: R) => Promise<Digest>): Promise<Digest> {
    const location = this.account.isLost ? undefined : await this.locate();
    const noted = location && (await location.cache.content(location.record, wanted, this.#context));
    const digest = noted ?? (await this.#computed(wanted, compute));
    this.account.noteContent(wanted, digest);
    if (noted) return noted;
    const place = this.#saved ?? (this.account.isLost ? undefined : location);
    if (place) await place.cache.noteContent(place.record, wanted, digest, this.#context);
    return digest;
  }

  async #computed({ index }: ContentPart, compute: (result: R) => Promise<Digest>): Promise<Digest> {
    const result = at(await this.results(), index);
    try {
      return await compute(result);
    } catch (error) {
      // Its files are not here: that is not the affair of whoever asks for them.
      throw error instanceof Undecided ? new Undecided(this.info) : error;
    }
  }

  /** What would become of it, in a dry scope. */
  async plan(): Promise<Plan> {
    const { kept } = await this.cacheMap();
    if (!kept) return { kind: "source" };
    if (this.#saved) return { kind: "cached", record: this.#saved.record }; // it had to be made for the graph to be known
    try {
      const location = await this.locate();
      if (location && !location.record.isHollow) return { kind: "cached", record: location.record };
      if (!location) await this.contentKey(); // for whoever explains it
      return { kind: "run" };
    } catch (error) {
      if (!(error instanceof Undecided)) throw error;
      return this.#ignoreCache ? { kind: "run" } : { kind: "depends", on: error.vertex };
    }
  }

  /** Where the results are already, by definition first, by content second; undefined if only running the op can make them. */
  readonly locate: () => Promise<Location<R> | undefined> = lazy(async () => {
    const map = await this.cacheMap();
    if (!map.kept || this.#ignoreCache) return undefined;
    const location = (await this.reruns()) ? await this.#locateFresh() : await this.#locatePortable();
    if (location) {
      this.account.key = location.record.contentKey;
      this.#located = location;
      // Whether one without results has to run is known when a consumer was found, which reports it, or wasn't.
      if (!location.record.isHollow) this.#reportCached();
    }
    return location;
  });

  async #locatePortable(): Promise<Location<R> | undefined> {
    const definition = await this.definitionKey();
    const byDefinition = definition && (await this.#find(definition.key));
    if (byDefinition) return byDefinition;
    const { key } = await this.contentKey();
    const byContent = await this.#find(key);
    if (byContent && definition) await byContent.cache.link(definition, byContent.record, this.#context);
    return byContent;
  }

  /** Finds by contents only, and makes what it finds the newest under the keys that later builds ask with. */
  async #locateFresh(): Promise<Location<R> | undefined> {
    const location = await this.#find((await this.#freshKey()).key);
    if (!location) return undefined;
    for (const key of [await this.definitionKey(), await this.contentKey()]) {
      if (key) await location.cache.link(key, location.record, this.#context);
    }
    return location;
  }

  readonly #found = new Map<CacheKey, Promise<Location<R> | undefined>>();
  #find(key: CacheKey): Promise<Location<R> | undefined> {
    const known = this.#found.get(key);
    if (known) return known;
    const search = this.#search(key);
    this.#found.set(key, search);
    return search;
  }

  async #search(key: CacheKey): Promise<Location<R> | undefined> {
    const options = await this.#finding();
    for (const cache of this.#scope.caches) {
      const record = await cache.find(key, options);
      if (!record) continue;
      this.found.add(record.id);
      return { cache, record };
    }
    return undefined;
  }

  /** What is said to a cache of what is looked for. */
  async #finding(): Promise<FindOptions> {
    const { outputs = 1 } = await this.cacheMap();
    return { signal: this.#context.signal, outputs };
  }

  /** The results; owned by the build. */
  readonly results: () => Promise<readonly R[]> = lazy(() =>
    this.#blamed(async () => {
      const location = await this.locate();
      const loaded = location && (await this.#load(location));
      const results = loaded ? this.#own(loaded) : await this.#run();
      this.isDone = true;
      return results;
    }),
  );

  /** WORK, whose failure is this vertex's unless it is another's already. */
  async #blamed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#scope.onFailure(this.info, error);
      throw error;
    }
  }

  /** Output INDEX; owned by the build. */
  async result(index: number): Promise<R> {
    return at(await this.results(), index);
  }

  async #load({ cache, record }: Location<R>): Promise<readonly R[] | undefined> {
    if (record.place !== undefined) throw new Undecided(this.info);
    try {
      return await cache.load(record, this.#context);
    } catch (error) {
      const code = errorCode(error);
      if (code !== "not-found" && code !== "data-loss") throw error;
      await cache.discard(record, this.#context);
      this.account.isLost = true;
      this.#found.clear();
      this.#scope.epoch++;
      return undefined;
    }
  }

  #saved: Location<R> | undefined;

  async #run(): Promise<readonly R[]> {
    const { kept } = await this.cacheMap();
    if (kept && this.#scope.isDry) throw new Undecided(this.info);
    const inputs = await Promise.all(this.#inputs.map(({ task, index }) => task.result(index)));
    if (!kept) return this.#own(await this.#scope.track(this.#op.exec(inputs, this.#context)));
    const content = await this.contentKey();
    const { key } = this.#ignoreCache ? content : await this.#freshKey();
    const run: VertexRun<R> = {
      key: this.#ignoreCache ? (`${key}@${this.#scope.buildId}` as CacheKey) : key,
      shared: !this.#ignoreCache,
      find: () => this.#foundSince(key),
      exec: (signal) => this.#op.exec(inputs, { ...this.#context, signal }),
      save: (results) => this.#save(results),
      missed: () => {
        this.#report(false);
        this.account.state = "running";
        return this.#scope.onMiss(this.account, this.#context);
      },
    };
    const { results, found } = await this.#scope.track(runOnce(run, this.#scope, this.#context));
    this.#own(results);
    this.account.state = found ? "cached" : "ran";
    if (found) this.#report(true);
    else this.#scope.onMade(this.info, results);
    if (!this.#saved) await this.#save(results);
    return results;
  }

  /** What another process has made of the same inputs since this one looked. */
  async #foundSince(key: CacheKey): Promise<readonly R[] | undefined> {
    const [cache] = this.#scope.caches;
    const record = await cache.find(key, await this.#finding());
    const results = record && (await this.#load({ cache, record }));
    if (results) this.#keptAt({ cache, record });
    return results;
  }

  /** Keeps the results, once, under every key that a later build may ask with. */
  async #save(results: readonly R[]): Promise<void> {
    const contentKey = await this.contentKey();
    const keys = [await this.definitionKey(), contentKey, this.#ignoreCache ? undefined : await this.#freshKey()];
    const distinct = new Map(keys.flatMap((key) => (key ? [[key.key, key] as const] : [])));
    const [cache] = this.#scope.caches;
    const entry = { keys: [...distinct.values()], contentKey: contentKey.key, results, description: this.info.name };
    this.#keptAt({ cache, record: await cache.save(entry, this.#context) });
  }

  #keptAt(location: Location<R>): void {
    this.#saved = location;
    this.found.add(location.record.id);
  }

  #own(results: readonly R[]): readonly R[] {
    for (const result of results) this.#scope.own(result);
    this.account.results = results;
    return results;
  }

  /** Says of this vertex and of all it was made from that nothing of it ran. */
  #reportCached(): void {
    if (this.#reported) return;
    for (const { task } of this.#inputs) task.#reportCached();
    // A directory of the caller's is always looked at: it is never from the cache.
    if (this.account.map?.definition === undefined) return;
    this.#report(true);
    this.account.state = "cached";
    this.#context.progress.emit({ type: "vertex-cached", vertex: this.info, at: this.#scope.clock.now() });
  }

  #report(cached: boolean): void {
    this.#reported = true;
    this.#scope.onVertex(this.info, cached);
  }

  /** As `lazy`, but asked again after a record was lost. */
  #perEpoch<T>(compute: () => Promise<T>): () => Promise<T> {
    let answer: { readonly epoch: number; readonly value: Promise<T> } | undefined;
    return () => {
      if (answer?.epoch !== this.#scope.epoch) answer = { epoch: this.#scope.epoch, value: compute() };
      return answer.value;
    };
  }
}

function part(
  key: CacheKey,
  input: { readonly index: number } | undefined,
  map: InputKey<never> | CacheMap<never>["inputs"][number] | undefined,
): InputPart {
  return { key, index: input?.index ?? 0, ...(map?.selector ? { selector: map.selector } : {}) };
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new EngineError("internal", `no output ${index}: the op has ${items.length}`);
  return item;
}
