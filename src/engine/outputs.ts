import type { Attestation } from "../attest/index.js";
import { type Clock, EngineError, forAll, unreachable } from "../base/index.js";
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
  parseStoreOutput,
  parseTreeOutput,
  storeImage,
  type WrittenImages,
} from "../exporters/index.js";
import { type ImageConfig, isIndexType, type Platform } from "../oci/index.js";
import type { ProgressSink } from "../progress/index.js";
import type { Registry } from "../registry/index.js";
import type { SigningKey } from "../sign/index.js";
import type { DataPlane, FetchLayer, LayerStore, StateDirs, Tree } from "../snapshot/index.js";
import type { ContentStore, ImageStore } from "../store/index.js";
import { checkAttestations } from "./attestations.js";
import { isPassingOrigin } from "./catalog.js";
import { exporting } from "./exporting.js";
import { checkStoreOutput, pushOutput, storeOutput } from "./image-output.js";
import type { BuildRequest, OutputSpec } from "./request.js";
import type { BuildResult } from "./result.js";
import { checkSigning, signPushed } from "./signing.js";
import { squashOwn } from "./squash.js";

/** What a build made for one platform. */
export interface BuiltImage {
  readonly platform: Platform;
  readonly tree: Tree;
  readonly config: ImageConfig;
  /** What is said of it. */
  readonly attestations?: readonly Attestation[] | undefined;
}

/** What results are written with. */
export interface Outputs {
  readonly writer: ImageWriter;
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly store: ContentStore;
  readonly images: ImageStore;
  readonly clock: Clock;
  /** Temporary files have a directory of this engine's own. */
  readonly dirs: StateDirs;
  readonly fetchLayer: FetchLayer;
  readonly cores: number;
  /** Where images are pushed to. */
  readonly registry: Registry;
  /** Who owns files that are written to a directory. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

export function createOutputs(parts: Omit<Outputs, "writer">): Outputs {
  const { plane, layers, store, dirs, fetchLayer, cores } = parts;
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
  /** What is pushed is signed with it. */
  readonly signingKey: SigningKey | undefined;
}

type Written = Omit<BuildResult, "steps" | "misses" | "warnings" | "caches">;

/** Refuses outputs, attestations and tags that won't do, before anything is built. Throws `invalid` or `unsupported`. */
export function checkOutputs(request: BuildRequest): void {
  fullNames(request.tags ?? []);
  checkAttestations(request);
  checkSigning(request);
  for (const output of request.outputs ?? []) checkOutput(output, request.tags ?? []);
  if ((request.outputs ?? []).some(({ type }) => type === "docker") && new Set(request.platforms).size > 1) {
    throw new EngineError("unsupported", "docker exporter does not currently support exporting manifest lists", {
      hint: "build for one platform, or write all of them to a file with -o type=oci,dest=FILE",
    });
  }
}

function checkOutput({ type, attrs = {} }: OutputSpec, tags: readonly string[]): void {
  switch (type) {
    case "oci":
    case "docker":
      parseImageOutput(type, attrs);
      break;
    case "tar":
    case "local":
      parseTreeOutput(type, attrs);
      break;
    case "image":
      checkStoreOutput(parseStoreOutput(attrs), tags);
      break;
    default:
      unreachable(type);
  }
}

/**
 * Writes every output of the request. Without any the image goes to the store, under its names if it has some, which else is what `image` is
 * for. What goes to a registry goes there at the end, when everything else is done.
 */
export async function writeOutputs(outputs: Outputs, built: readonly BuiltImage[], writing: Writing): Promise<Written> {
  const images = built.map((image): ExportedImage => ({ ...image, baseLayers: image.config.rootfs.diff_ids.length }));
  const { request } = writing;
  const done: OutputResult[] = [];
  for (const output of request.outputs ?? []) done.push(await writeOutput(outputs, { output, images }, writing));
  const tags = request.tags ?? [];
  const isStored = request.outputs === undefined;
  const named = isStored ? await store(outputs, images, { ...writing, names: tags }) : undefined;
  const image = done.find(({ written }) => written)?.written;
  for (const { finish } of done) await finish?.();
  const names = [...new Set([...done.flatMap((each) => each.names ?? []), ...(named?.names ?? [])])];
  const shown = image ?? named;
  return { names, outputs: done.map(({ result }) => result), ...(shown ? identity(shown) : {}) };
}

function identity({ root, images }: WrittenImages): Pick<Written, "digest" | "imageId" | "descriptor" | "sizeBytes"> {
  // Of an index no config is more than another's.
  const [first] = isIndexType(root.mediaType) ? [] : images;
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
    if (state === "lazy" && image?.origins.some(isPassingOrigin)) await fetchLayer(image, { signal: options.signal });
  }
}

interface OneOutput {
  readonly output: OutputSpec;
  readonly images: readonly ExportedImage[];
}

interface OutputResult {
  readonly result: BuildResult["outputs"][number];
  readonly written?: WrittenImages;
  /** What the image is called in the store because of it. */
  readonly names?: readonly string[];
  /** What is left to do once everything else is there. */
  readonly finish?: () => Promise<void>;
}

async function writeOutput(
  outputs: Outputs,
  { output: spec, images: built }: OneOutput,
  writing: Writing,
): Promise<OutputResult> {
  const { type, attrs = {} } = spec;
  const images = attrs.squash === "own" ? await squashed(outputs, built, writing) : built;
  const dest = "dest" in spec ? spec.dest : "";
  const place = typeof dest === "string" && dest !== "" ? { type, dest } : { type };
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
    case "image":
      return writeStored(outputs, images, { attrs, writing });
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

/** Into the store, and to registries where that is asked for. */
async function writeStored(
  outputs: Outputs,
  images: readonly ExportedImage[],
  { attrs, writing }: { readonly attrs: Readonly<Record<string, string>>; readonly writing: Writing },
): Promise<OutputResult> {
  const output = parseStoreOutput(attrs);
  const written = await exporting("exporting to image", writing, async (options) => {
    await keepLocalLayers(outputs, images, options);
    return storeOutput(outputs, { images, output, ...options, ...writingOf(writing) });
  });
  const { names, wanted } = written;
  const digest = written.root.digest;
  if (!output.push) return { written, names, result: { type: "image", digest } };
  const { root, provider } = written;
  const push = { root, images, provider, names: wanted, byDigest: output.pushByDigest };
  const finish = async () => {
    await exporting(`pushing ${wanted.join(", ")}`, writing, (options) => pushOutput(outputs, push, options));
    const { signingKey: key } = writing;
    if (key === undefined) return;
    const signed = { root: written.root, names: wanted, key };
    await exporting(`signing ${wanted.join(", ")}`, writing, ({ signal }) =>
      signPushed(outputs.registry, signed, signal ? { signal } : {}),
    );
  };
  return { written, names, finish, result: { type: "image", digest, pushed: wanted } };
}

function writingOf({ request, sourceDateEpoch, multiPlatform }: Writing) {
  return { tags: request.tags ?? [], sourceDateEpoch, multiPlatform };
}

/** The images with what this build added to each in one layer. */
function squashed(
  outputs: Outputs,
  images: readonly ExportedImage[],
  writing: Writing,
): Promise<readonly ExportedImage[]> {
  return exporting("squashing layers", writing, ({ signal }) =>
    forAll(images, (image, one) => squashOwn(outputs, image, { signal: one }), { signal }),
  );
}
