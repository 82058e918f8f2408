import { type AbortOptions, EngineError } from "../base/index.js";
import { WHOLE } from "./account.js";
import {
  type CacheKey,
  type CacheManager,
  type CacheRecord,
  explainedKey,
  type FindOptions,
  type InputPart,
} from "./cache-manager.js";
import type { OpContext, Result } from "./op.js";
import type { Location, VertexTask } from "./vertex-task.js";

/** What is known of a vertex without running anything. */
interface Whereabouts<R extends Result> {
  readonly location?: Location<R> | undefined;
  /** What consumers count it by. */
  readonly key?: CacheKey | undefined;
}

/** The records of TASKS, whose inputs come first, as far as CACHES have them; nothing is run, loaded or pulled. */
export async function locateAll<R extends Result>(
  tasks: readonly VertexTask<R>[],
  caches: readonly CacheManager<R>[],
  options: AbortOptions & Pick<OpContext, "signal">,
): Promise<ReadonlyMap<VertexTask<R>, CacheRecord>> {
  const known = new Map<VertexTask<R>, Whereabouts<R>>();
  for (const task of tasks) {
    if (options.signal.aborted) throw new EngineError("canceled", "canceled");
    known.set(task, await locate(task, known, { caches, options }));
  }
  const found = [...known].flatMap(([task, { location }]) =>
    location && !location.record.isHollow ? [[task, location.record] as const] : [],
  );
  return new Map(found);
}

interface Asking<R extends Result> {
  readonly caches: readonly CacheManager<R>[];
  readonly options: FindOptions;
}

async function locate<R extends Result>(
  task: VertexTask<R>,
  known: ReadonlyMap<VertexTask<R>, Whereabouts<R>>,
  asking: Asking<R>,
): Promise<Whereabouts<R>> {
  const { map } = task.account;
  if (task.location) return { location: task.location, key: task.location.record.contentKey };
  if (!map) return {};
  // A source's key says what it is; what a directory of the caller's holds is asked for part by part.
  if (!map.kept) return map.definition && map.inputs.length === 0 ? { key: (await task.contentKey()).key } : {};
  if (await task.reruns()) return {};
  const definition = await task.definitionKey();
  const asked = { ...asking, options: { ...asking.options, outputs: map.outputs ?? 1 } };
  const byDefinition = definition && (await find(definition.key, asked));
  if (byDefinition) return { location: byDefinition, key: byDefinition.record.contentKey };
  const key = await keyByContent(task, known, asking.options);
  return { location: key && (await find(key, asked)), key };
}

async function find<R extends Result>(key: CacheKey, { caches, options }: Asking<R>): Promise<Location<R> | undefined> {
  for (const cache of caches) {
    const record = await cache.find(key, options);
    if (record) return { cache, record };
  }
  return undefined;
}

/** The content key, where it is known what the inputs hold. */
async function keyByContent<R extends Result>(
  task: VertexTask<R>,
  known: ReadonlyMap<VertexTask<R>, Whereabouts<R>>,
  options: AbortOptions,
): Promise<CacheKey | undefined> {
  const { map } = task.account;
  const op = map && (map.content ?? map.definition);
  if (!op) return undefined;
  const parts: InputPart[] = [];
  for (const [i, { task: input, index }] of task.inputs.entries()) {
    const { selector, contentDigest } = map.inputs[i] ?? {};
    const { location, key } = known.get(input) ?? {};
    if (contentDigest) {
      const wanted = { index, selector: selector ?? WHOLE };
      const isDirectory = input.account.map?.kept === false && input.account.map.definition === undefined;
      const content = isDirectory
        ? await input.contentOf(wanted, (result) => contentDigest(result, input.context))
        : location && (await location.cache.content(location.record, wanted, options));
      if (!content) return undefined;
      parts.push({ content });
    } else if (key) parts.push({ key, index, ...(selector ? { selector } : {}) });
    else return undefined;
  }
  return explainedKey({ v: 1, op, inputs: parts }).key;
}
