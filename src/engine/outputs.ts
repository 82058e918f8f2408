import { type Clock, digestOf, EngineError, unreachable } from "../base/index.js";
import {
  createImageWriter,
  type ExportedImage,
  type ExportOptions,
  exportDocker,
  exportLocal,
  exportOci,
  exportTar,
  fullNames,
  type ImageWriter,
  parseImageOutput,
  parseTreeOutput,
  storeImage,
  type WrittenImages,
} from "../exporters/index.js";
import type { ImageConfig, Platform } from "../oci/index.js";
import type { ProgressSink, VertexInfo } from "../progress/index.js";
import type { DataPlane, FetchLayer, LayerStore, StateDirs, Tree } from "../snapshot/index.js";
import type { ContentStore, ImageStore } from "../store/index.js";
import { shownAs } from "./bridge.js";
import { isLocalOrigin } from "./catalog.js";
import type { BuildRequest, BuildResult, OutputSpec } from "./request.js";

/** What a build made for one platform. */
export interface BuiltImage {
  readonly platform: Platform;
  readonly tree: Tree;
  readonly config: ImageConfig;
}

/** What results are written with. */
export interface Outputs {
  readonly writer: ImageWriter;
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly store: ContentStore;
  readonly images: ImageStore;
  readonly clock: Clock;
  readonly dirs: StateDirs;
  readonly fetchLayer: FetchLayer;
  /** Who owns files that are written to a directory. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

export interface OutputsOptions extends Omit<Outputs, "writer"> {
  readonly cores: number;
}

export function createOutputs({ cores, ...parts }: OutputsOptions): Outputs {
  const { plane, layers, store, dirs, fetchLayer } = parts;
  return { ...parts, writer: createImageWriter({ plane, layers, store, dirs, fetchLayer, concurrency: cores }) };
}

/** How one build's results are written. */
export interface Writing {
  readonly request: BuildRequest;
  readonly progress: ProgressSink;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** The time that the build fixes, in seconds since the epoch. */
  readonly sourceDateEpoch: number | undefined;
  /** Whether the result is one for several platforms, even if there is but one. */
  readonly multiPlatform: boolean;
}

type Written = Omit<BuildResult, "steps" | "warnings">;

/** Refuses outputs and tags that won't do, before anything is built. Throws `invalid` or `unsupported`. */
export function checkOutputs(request: BuildRequest): void {
  fullNames(request.tags ?? []);
  for (const output of request.outputs ?? []) attributesOf(output);
  if ((request.outputs ?? []).some(({ type }) => type === "docker") && new Set(request.platforms).size > 1) {
    throw new EngineError("unsupported", "docker exporter does not currently support exporting manifest lists");
  }
}

function attributesOf(output: OutputSpec): unknown {
  const attrs = output.attrs ?? {};
  return output.type === "oci" || output.type === "docker"
    ? parseImageOutput(output.type, attrs)
    : parseTreeOutput(output.type, attrs);
}

/** Writes every output of the request, then gives the image its names in the store. */
export async function writeOutputs(outputs: Outputs, built: readonly BuiltImage[], writing: Writing): Promise<Written> {
  const images = built.map((image): ExportedImage => ({ ...image, baseLayers: image.config.rootfs.diff_ids.length }));
  const { request } = writing;
  const results: BuildResult["outputs"][number][] = [];
  let image: WrittenImages | undefined;
  for (const output of request.outputs ?? []) {
    const { result, written } = await writeOutput(outputs, { output, images }, writing);
    results.push(result);
    image ??= written;
  }
  const tags = request.tags ?? [];
  const names = tags.length > 0 ? await store(outputs, images, { ...writing, names: tags }) : undefined;
  if (!image && request.outputs === undefined && !names) image = await describe(outputs, images, writing);
  const shown = image ?? names;
  return { names: names?.names ?? [], outputs: results, ...(shown ? identity(shown) : {}) };
}

function identity({ root, images }: WrittenImages): Pick<Written, "digest" | "imageId" | "descriptor" | "sizeBytes"> {
  const [first] = images;
  const layers = new Map(
    images.flatMap((image) => image.layers.map(({ descriptor }) => [descriptor.digest, descriptor.size] as const)),
  );
  const sizeBytes = [...layers.values()].reduce(
    (sum, size) => sum + size,
    images.reduce((sum, { config }) => sum + config.size, 0),
  );
  const { mediaType, digest, size } = root;
  return {
    digest,
    descriptor: { mediaType, digest, size },
    sizeBytes,
    ...(first ? { imageId: first.config.digest } : {}),
  };
}

function store(
  outputs: Outputs,
  images: readonly ExportedImage[],
  writing: Writing & { readonly names: readonly string[] },
): ReturnType<typeof storeImage> {
  const { names } = writing;
  return exporting("exporting to image", writing, async (options) => {
    await keepLocalLayers(outputs, images, options);
    const { sourceDateEpoch, multiPlatform } = writing;
    return storeImage(outputs, images, { ...options, names, mediaTypes: "oci", sourceDateEpoch, multiPlatform });
  });
}

/** A stored image must not depend on a directory of the caller's: what was never unpacked is copied from there. Registries stay. */
async function keepLocalLayers(
  { layers, fetchLayer }: Outputs,
  images: readonly ExportedImage[],
  options: ExportOptions,
): Promise<void> {
  for (const layer of new Set(images.flatMap(({ tree }) => tree))) {
    const { state, image } = layers.info(layer);
    if (state === "lazy" && image?.origins.some(isLocalOrigin)) await fetchLayer(image, { signal: options.signal });
  }
}

function describe(outputs: Outputs, images: readonly ExportedImage[], writing: Writing): Promise<WrittenImages> {
  const { sourceDateEpoch, multiPlatform } = writing;
  return exporting("exporting to image", writing, (options) =>
    outputs.writer.describe(images, { ...options, mediaTypes: "oci", sourceDateEpoch, multiPlatform }),
  );
}

interface OneOutput {
  readonly output: OutputSpec;
  readonly images: readonly ExportedImage[];
}

interface OutputResult {
  readonly result: BuildResult["outputs"][number];
  readonly written?: WrittenImages;
}

async function writeOutput(outputs: Outputs, { output, images }: OneOutput, writing: Writing): Promise<OutputResult> {
  const { type, dest, attrs = {} } = output;
  const place = typeof dest === "string" ? { type, dest } : { type };
  const { sourceDateEpoch, multiPlatform } = writing;
  const names = writing.request.tags ?? [];
  switch (type) {
    case "oci":
    case "docker": {
      const what = type === "oci" ? "exporting to oci image format" : "exporting to docker image format";
      const write = type === "oci" ? exportOci : exportDocker;
      const written = await exporting(what, writing, (options) =>
        write(outputs, {
          ...options,
          images,
          names,
          destination: dest,
          output: parseImageOutput(type, attrs),
          sourceDateEpoch,
          multiPlatform,
        }),
      );
      return { written, result: { ...place, sizeBytes: written.sizeBytes, digest: written.root.digest } };
    }
    case "tar": {
      const sizeBytes = await exporting("exporting to client tarball", writing, (options) =>
        exportTar(outputs, {
          ...options,
          images,
          destination: dest,
          output: parseTreeOutput(type, attrs),
          sourceDateEpoch,
          multiPlatform,
        }),
      );
      return { result: { ...place, sizeBytes } };
    }
    case "local": {
      await exporting("exporting to client directory", writing, (options) =>
        exportLocal(outputs, {
          ...options,
          images,
          destination: dest,
          output: parseTreeOutput(type, attrs),
          sourceDateEpoch,
          multiPlatform,
        }),
      );
      return { result: place };
    }
    default:
      return unreachable(type);
  }
}

/** Shows an export as a step, its parts as statuses. */
async function exporting<T>(
  name: string,
  { progress, signal, clock }: Writing,
  work: (options: ExportOptions) => Promise<T>,
): Promise<T> {
  const vertex: VertexInfo = { digest: digestOf(name), name, inputs: [] };
  const started = new Map<string, number>();
  return shownAs(vertex, { progress, clock }, () =>
    work({
      signal,
      onProgress({ id, current = 0, total, done }) {
        const at = clock.now();
        const startedAt = started.get(id) ?? at;
        started.set(id, startedAt);
        const unit = current > 0 || total !== undefined ? ("bytes" as const) : ("none" as const);
        progress.emit({
          type: "status",
          vertex: vertex.digest,
          id,
          at,
          current,
          ...(total === undefined ? {} : { total }),
          unit,
          startedAt,
          done,
        });
      },
    }),
  );
}
