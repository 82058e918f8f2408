import type { Digest } from "../base/index.js";
import { readRecords } from "../cache/index.js";
import type { OpNode, SourceOp } from "../llb/index.js";
import { formatPlatform, hostPlatform, type Layer, type Platform } from "../oci/index.js";
import type { ImageLayer, KnownLayer, LayerInfo } from "../snapshot/index.js";
import type { CacheRecord, PlannedVertex, Vertex } from "../solver/index.js";
import type { BuildEngine } from "./build.js";
import { isCacheOrigin, placeOf } from "./catalog.js";
import type { OutputSpec } from "./request.js";
import type { PlannedPull } from "./result.js";
import type { RequestSolver } from "./solver.js";

/** What a plan is made of. */
export interface PullsScope {
  readonly engine: BuildEngine;
  readonly environment: RequestSolver["environment"];
  readonly planned: readonly PlannedVertex[];
  /** What the images are made of. */
  readonly results: readonly Output[];
  readonly outputs: readonly OutputSpec[];
  readonly vertices: ReadonlyMap<Digest, Vertex<OpNode>>;
  /** The layers of each output of a record that only another machine's cache has. */
  readonly elsewhere: (record: CacheRecord) => readonly (readonly Layer[])[] | undefined;
  readonly signal: AbortSignal;
}

/** What steps that run, or may run, and outputs would have fetched. Nothing is fetched or adopted for it. */
export async function plannedPulls(scope: PullsScope): Promise<readonly PlannedPull[]> {
  const pulls = new Pulls(scope);
  for (const each of scope.planned) await pulls.addNeedsOf(each);
  for (const each of scope.results) await pulls.addResult(each);
  return pulls.all();
}

/** An output of a vertex. */
export interface Output {
  readonly vertex: Digest;
  readonly index: number;
}

/** A layer of a tree. `place`: where it would be fetched from; undefined for one that is here. */
interface TreeLayer {
  readonly digest: string;
  readonly size: number;
  readonly place: PullPlace | undefined;
}

type PullPlace = { readonly image: string; readonly platform: string } | { readonly cache: string };

interface Wanted {
  readonly layer: TreeLayer;
  isCertain: boolean;
}

class Pulls {
  readonly #scope: PullsScope;
  readonly #planned: ReadonlyMap<Digest, PlannedVertex>;
  readonly #trees = new Map<string, Promise<readonly TreeLayer[]>>();
  /** By the blobs' digests. */
  readonly #wanted = new Map<string, Wanted>();

  constructor(scope: PullsScope) {
    this.#scope = scope;
    this.#planned = new Map(scope.planned.map((each) => [each.account.vertex.digest, each]));
  }

  async addNeedsOf({ account, plan }: PlannedVertex): Promise<void> {
    if (plan.kind === "cached" || plan.kind === "source") return;
    const node = this.#scope.vertices.get(account.vertex.digest)?.definition;
    if (!node) return;
    // What has to be there before it can be told whether the step runs.
    const asked = plan.kind === "depends" ? this.#planned.get(plan.on.digest) : undefined;
    if (asked?.plan.kind === "cached" || asked?.plan.kind === "source")
      await this.#add({ vertex: asked.account.vertex.digest, index: 0 }, true);
    for (const { input, isCertain } of await this.#inputsOf(node)) {
      const edge = node.inputs[input];
      if (edge) await this.#add({ vertex: edge.digest, index: edge.index }, isCertain && plan.kind === "run");
    }
  }

  /** What is written to files holds every layer; what a registry has is only sent there from here where it can't be told to take it. */
  async addResult(result: Output): Promise<void> {
    const { outputs } = this.#scope;
    if (outputs.some(({ type }) => type !== "image")) await this.#add(result, true);
    else if (outputs.some(({ attrs }) => attrs?.push === "true")) await this.#add(result, false);
  }

  /** The inputs whose files a running op asks for. */
  async #inputsOf({ op, inputs }: OpNode): Promise<readonly { readonly input: number; readonly isCertain: boolean }[]> {
    switch (op.kind) {
      case "exec":
        // What a cache mount begins with is needed where there is none yet.
        return op.mounts.map(({ input, type }) => ({ input, isCertain: type !== "cache" }));
      case "file":
        return inputs.map((_, input) => ({ input, isCertain: true }));
      case "diff":
        return (await this.#differenceOf({ op, inputs }))
          ? []
          : [op.lower, op.upper].map((input) => ({ input, isCertain: true }));
      case "merge":
      case "source":
        return [];
    }
  }

  async #add(output: Output, isCertain: boolean): Promise<void> {
    for (const layer of await this.#treeOf(output)) {
      if (!layer.place) continue;
      const wanted = this.#wanted.get(layer.digest) ?? { layer, isCertain };
      wanted.isCertain ||= isCertain;
      this.#wanted.set(layer.digest, wanted);
    }
  }

  /** The layers of what is there already, bottom first; of what a step would make those that it is laid over. */
  #treeOf(output: Output): Promise<readonly TreeLayer[]> {
    const name = `${output.index} ${output.vertex}`;
    const tree = this.#trees.get(name) ?? this.#readTree(output);
    this.#trees.set(name, tree);
    return tree;
  }

  async #readTree({ vertex, index }: Output): Promise<readonly TreeLayer[]> {
    const node = this.#scope.vertices.get(vertex)?.definition;
    const plan = this.#planned.get(vertex)?.plan;
    if (!node) return [];
    const platform = node.platform ?? hostPlatform(process.arch);
    if (plan?.kind === "cached") return plan.record ? this.#recorded(plan.record, index, platform) : [];
    switch (node.op.kind) {
      case "source":
        return this.#imageLayers(node.op, platform);
      case "merge":
        return (await Promise.all(node.inputs.map((edge) => this.#treeOf(outputAt(edge))))).flat();
      case "diff":
        return (await this.#differenceOf({ op: node.op, inputs: node.inputs })) ?? [];
      default:
        return []; // whoever makes it asks for what lies below
    }
  }

  /** The layers that one tree has above another, which it was built on; undefined where it was not. */
  async #differenceOf({ op, inputs }: Pick<OpNode, "inputs"> & { readonly op: { lower: number; upper: number } }) {
    const treeAt = async (input: number) => {
      const edge = inputs[input];
      return edge ? this.#treeOf(outputAt(edge)) : [];
    };
    const [lower, upper] = [await treeAt(op.lower), await treeAt(op.upper)];
    return lower.every(({ digest }, i) => upper[i]?.digest === digest) ? upper.slice(lower.length) : undefined;
  }

  async #recorded(record: CacheRecord, index: number, platform: Platform): Promise<readonly TreeLayer[]> {
    const { engine, elsewhere } = this.#scope;
    const cache = record.place;
    if (cache !== undefined) return this.#placed(elsewhere(record)?.[index] ?? [], () => ({ cache }));
    const [stored] = readRecords(engine.database, [record.id]);
    return Promise.all(
      (stored?.results[index] ?? []).map(async (layer) => {
        const info = engine.layers.info(layer);
        const { image } = info;
        const known = { digest: image?.descriptor.digest ?? `layer ${layer}`, size: image?.descriptor.size ?? 0 };
        const isHere = image === undefined || (await this.#isHere(info, image));
        return { ...known, place: isHere ? undefined : originPlace(image, platform) };
      }),
    );
  }

  async #imageLayers({ identifier }: SourceOp, platform: Platform): Promise<readonly TreeLayer[]> {
    if (!/^(?:docker-image|oci-layout):/.test(identifier)) return [];
    const { layers } = await this.#scope.environment.images.layers(identifier, platform, {
      signal: this.#scope.signal,
    });
    const place = { image: withoutScheme(identifier), platform: formatPlatform(platform) };
    return this.#placed<ImageLayer>(layers, () => place);
  }

  #placed<L extends Layer>(layers: readonly L[], placeOf: (layer: L) => PullPlace): Promise<readonly TreeLayer[]> {
    const known = this.#scope.engine.layers.known(layers);
    return Promise.all(
      layers.map(async (layer, i) => {
        const isHere = await this.#isHere(known[i], layer);
        const { digest, size } = layer.descriptor;
        return { digest, size, place: isHere ? undefined : placeOf(layer) };
      }),
    );
  }

  /** Whether its files, or the blob that they are unpacked from, are on this disk. */
  async #isHere(info: LayerInfo | undefined, { descriptor }: Layer): Promise<boolean> {
    if (info !== undefined && info.state !== "lazy") return true;
    return (await this.#scope.engine.outputs.store.info(descriptor.digest)) !== undefined;
  }

  all(): readonly PlannedPull[] {
    const groups = new Map<string, { place: PullPlace; isCertain: boolean; layers: number; sizeBytes: number }>();
    for (const { layer, isCertain } of this.#wanted.values()) {
      if (!layer.place) continue;
      const name = JSON.stringify([isCertain, layer.place]);
      const group = groups.get(name) ?? { place: layer.place, isCertain, layers: 0, sizeBytes: 0 };
      groups.set(name, { ...group, layers: group.layers + 1, sizeBytes: group.sizeBytes + layer.size });
    }
    return Array.from(groups.values(), ({ place, ...group }) => ({ ...place, ...group }));
  }
}

function outputAt({ digest, index }: OpNode["inputs"][number]): Output {
  return { vertex: digest, index };
}

/** The first place that a layer was seen at. */
function originPlace({ origins: [origin = ""] }: KnownLayer, platform: Platform): PullPlace {
  const name = withoutScheme(placeOf(origin));
  return isCacheOrigin(origin)
    ? { cache: name.replace(/@sha256:[0-9a-f]{64}$/, "") }
    : { image: name, platform: formatPlatform(platform) };
}

/** As images are named to people; layouts keep their scheme. */
function withoutScheme(identifier: string): string {
  return identifier.replace(/^docker-image:\/\//, "");
}
