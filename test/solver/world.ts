import { setImmediate as nextTurn } from "node:timers/promises";
import { canceled, type Digest, digestOf, EngineError, type Flight } from "../../src/base/index.js";
import type { ProgressEvent } from "../../src/progress/index.js";
import {
  type CacheKey,
  type CacheManager,
  type CacheRecord,
  createJob,
  createRunning,
  type ExplainedKey,
  type InputKey,
  type Job,
  type Op,
  type Result,
  type StepLocks,
  type Vertex,
} from "../../src/solver/index.js";

/** A result is a text; a selector picks one character of it. */
export class Text implements Result {
  readonly #text: string;
  /** Where it is kept. */
  home: { isGone: boolean } = { isGone: false };
  constructor(text: string) {
    this.#text = text;
  }
  get text(): string {
    if (this.home.isGone) throw new Error(`${this.#text} was removed while it was needed`);
    return this.#text;
  }
  clone(): this {
    const clone = new Text(this.#text);
    clone.home = this.home;
    return clone as this;
  }
  async contentDigest(): Promise<Digest> {
    return digestOf(this.text);
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A vertex of a toy graph: what it is named by, what it computes, and how its inputs count. */
export interface Toy {
  readonly name: string;
  readonly inputs: readonly Toy[];
  /** Of each input: take it by content, only its first character or all of it. */
  readonly by: readonly ("definition" | "content" | "first")[];
  /** The op's identity; undefined for a source that only content tells. */
  readonly key: string | undefined;
  readonly compute: (inputs: readonly string[]) => string;
  readonly ignoreCache?: boolean;
  readonly kept?: boolean;
  /** What its run waits for. */
  readonly until?: () => Promise<void>;
}

interface Stored {
  readonly record: CacheRecord;
  readonly texts: readonly string[];
  readonly contents: Map<string, Digest>;
  readonly home: Text["home"];
}

export interface BuildOptions {
  readonly id?: string;
  readonly signal?: AbortSignal;
  /** The process that builds, where that is not the one that all builds share. */
  readonly machine?: Process;
  /** Whether all that the build has done with is removed whenever something was saved. */
  readonly isTight?: boolean;
}

/** What a process of its own has, and the events of its builds. */
export class Process {
  readonly events: string[] = [];
  readonly running: Flight<CacheKey, readonly Text[]> = createRunning<Text>();

  constructor(readonly locks: StepLocks) {}

  emit(event: ProgressEvent): void {
    if (event.type === "status") this.events.push(`${event.id}${event.done ? " done" : ""}`);
    else if (event.type === "vertex-started" || event.type === "vertex-cached")
      this.events.push(`${event.vertex.name} ${event.type}`);
    else if (event.type === "vertex-completed") this.events.push(`completed: ${event.outcome.kind}`);
  }
}

/** Locks that processes share. */
export function createLocks(): StepLocks & { readonly held: ReadonlySet<CacheKey> } {
  const held = new Map<CacheKey, Promise<void>>();
  return {
    get held() {
      return new Set(held.keys());
    },
    async take(key, { signal, onWait }) {
      if (held.has(key)) onWait();
      for (let holder = held.get(key); holder; holder = held.get(key)) {
        await new Promise<void>((resolve, reject) => {
          holder?.then(resolve);
          signal?.addEventListener("abort", () => reject(canceled(signal)));
        });
      }
      let free = () => {};
      held.set(key, new Promise<void>((resolve) => (free = resolve)));
      return {
        [Symbol.dispose]() {
          held.delete(key);
          free();
        },
      };
    },
  };
}

/** A cache in memory, and what happened, in order. */
export class World {
  readonly log: string[] = [];
  readonly #keys = new Map<CacheKey, string[]>();
  readonly #records = new Map<string, Stored>();
  readonly running: Flight<CacheKey, readonly Text[]> = createRunning<Text>();
  /** Records that are named but cannot be loaded. */
  readonly broken = new Set<string>();
  /** Records that are about to be removed. */
  readonly #hidden = new Set<string>();
  /** How many were removed while a build went on. */
  spared = 0;
  #nextId = 0;

  get recordIds(): string[] {
    return [...this.#records.keys()];
  }

  readonly cache: CacheManager<Text> = {
    find: async (key) => {
      const id = this.#keys.get(key)?.find((each) => this.#records.has(each) && !this.#hidden.has(each));
      return id === undefined ? undefined : this.#records.get(id)?.record;
    },
    load: async (record) => {
      const stored = this.#records.get(record.id);
      if (!stored || this.broken.has(record.id)) throw new EngineError("data-loss", "record lost");
      this.log.push(`load ${stored.texts[0]}`);
      return stored.texts.map((text) => Object.assign(new Text(text), { home: stored.home }));
    },
    save: async ({ keys, contentKey, results }) => {
      const record = { id: `r${this.#nextId++}`, contentKey };
      const home = { isGone: false };
      for (const result of results) result.home = home;
      this.#records.set(record.id, { record, texts: results.map(({ text }) => text), contents: new Map(), home });
      for (const key of keys) this.#name(key, record.id);
      return record;
    },
    link: async (key, record) => this.#name(key, record.id),
    content: async (record, { index, selector }) => this.#records.get(record.id)?.contents.get(`${index}:${selector}`),
    noteContent: async (record, { index, selector }, digest) => {
      this.#records.get(record.id)?.contents.set(`${index}:${selector}`, digest);
    },
    discard: async (record) => {
      this.#records.delete(record.id);
    },
  };

  #name({ key }: ExplainedKey, id: string): void {
    this.#keys.set(key, [id, ...(this.#keys.get(key) ?? []).filter((each) => each !== id)]);
  }

  forget(id: string): void {
    this.#records.delete(id);
  }

  /** Builds TOY; gives its text. What ran and was loaded stands in `log`. */
  async build(toy: Toy, options: BuildOptions = {}): Promise<string> {
    await using job = this.#job(options);
    return (await job.solve({ vertex: vertexOf(toy, new Map()), index: 0 })).text;
  }

  /** The name of the vertex that a build of TOY fails at. */
  async failing(toy: Toy): Promise<string | undefined> {
    await using job = this.#job({});
    await job.solve({ vertex: vertexOf(toy, new Map()), index: 0 }).catch(() => {});
    return job.failure?.vertex.name;
  }

  /** What a build of TOY would do, by name. */
  async plan(toy: Toy): Promise<ReadonlyMap<string, string>> {
    await using job = this.#job({});
    const planned = await job.plan([{ vertex: vertexOf(toy, new Map()), index: 0 }]);
    return new Map(planned.map(({ account, plan }) => [account.vertex.name, plan.kind]));
  }

  /** Removes what JOB has done with, as the local cache gives it up: nobody finds it any more, and who has just found it says so. */
  async #spare(job: Job<Toy, Text>): Promise<void> {
    const ids = job.spare().flatMap(({ id }) => (this.#records.has(id) && !this.#hidden.has(id) ? [id] : []));
    for (const id of ids) this.#hidden.add(id);
    await nextTurn();
    const still = new Set(job.spare().map(({ id }) => id));
    for (const id of ids) {
      const stored = this.#records.get(id);
      if (stored && still.has(id)) {
        stored.home.isGone = true;
        this.forget(id);
        this.spared++;
      }
      this.#hidden.delete(id);
    }
  }

  #job({ id = `b${this.#nextId++}`, signal, machine, isTight = false }: BuildOptions): Job<Toy, Text> {
    const save: typeof this.cache.save = async (...entry) => {
      const record = await this.cache.save(...entry);
      if (isTight) await this.#spare(job);
      return record;
    };
    const job = createJob<Toy, Text>({
      buildId: id,
      resolveOp: (vertex) => this.#op(vertex.definition),
      caches: [{ ...this.cache, save }],
      running: machine?.running ?? this.running,
      locks: machine?.locks,
      progress: machine ?? { emit() {} },
      clock: { now: () => 0 },
      ...(signal ? { signal } : {}),
    });
    return job;
  }

  #op(toy: Toy): Op<Text> {
    return {
      cacheMap: async () => ({
        definition: toy.key === undefined ? undefined : digestOf(toy.key),
        kept: toy.kept ?? true,
        inputs: toy.by.map(inputKey),
      }),
      exec: async (inputs) => {
        this.log.push(`run ${toy.name}`);
        await toy.until?.();
        return [new Text(toy.compute(inputs.map(({ text }) => text)))];
      },
    };
  }
}

function inputKey(by: Toy["by"][number]): InputKey<Text> {
  if (by === "definition") return {};
  if (by === "content") return { contentDigest: async ({ text }) => digestOf(text) };
  return { selector: "first", contentDigest: async ({ text }) => digestOf(text.slice(0, 1)) };
}

function vertexOf(toy: Toy, known: Map<Toy, Vertex<Toy>>): Vertex<Toy> {
  const made = known.get(toy);
  if (made) return made;
  const inputs = toy.inputs.map((input) => ({ vertex: vertexOf(input, known), index: 0 }));
  const digest = digestOf(`${known.size} ${toy.name}`);
  const vertex = { digest, name: toy.name, inputs, definition: toy, ignoreCache: toy.ignoreCache ?? false };
  known.set(toy, vertex);
  return vertex;
}
