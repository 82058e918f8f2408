import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, EngineError, Scope } from "../base/index.js";
import { type ExportOptions, fullNames } from "../exporters/index.js";
import {
  configPlatform,
  type Descriptor,
  formatReference,
  IMAGE_NAME_ANNOTATION,
  type Index,
  type Layout,
  type Manifest,
  openLayout,
  type Platform,
  parseReference,
  platformRank,
  REF_NAME_ANNOTATION,
  readImageConfig,
  readManifestOrIndex,
  withDefaultTag,
} from "../oci/index.js";
import type { ContentStore, ImageStore, PlatformImage } from "../store/index.js";
import { type ArchiveSource, shownSource, type Unpacking, unpackFiles } from "./archive-files.js";
import { wantedPlatform } from "./image-lookup.js";
import type { LoadedImage } from "./image-requests.js";
import { isImageManifest } from "./stored-image.js";

/** What images are loaded into, and unpacked with. */
export interface LoadEngine extends Unpacking {
  readonly store: ContentStore;
  readonly images: ImageStore;
}

/** Images to load. */
export interface LoadRequest extends ExportOptions {
  readonly from: ArchiveSource;
  readonly name?: string | undefined;
  readonly platforms?: readonly string[] | undefined;
}

/**
 * Takes the images of an OCI layout or docker archive (a directory, a tar file, compressed or not, or a stream of one) into the image
 * store. Errors: `not-found` for a file or a platform that isn't there, `invalid` for what holds no image, `data-loss`.
 */
export async function loadImages(engine: LoadEngine, request: LoadRequest): Promise<readonly LoadedImage[]> {
  await using scope = new Scope();
  const { from, name, platforms = [], ...options } = request;
  const shown = shownSource(from);
  const layout = await openImages(engine, from, { ...options, scope });
  const wanted = platforms.map(wantedPlatform);
  if (name !== undefined && new Set(layout.index.manifests.map(({ digest }) => digest)).size > 1)
    throw new EngineError("invalid", `${shown} holds several images: they can't all be called ${name}`);
  const loaded: LoadedImage[] = [];
  for (const root of layout.index.manifests) {
    const copying = { layout, store: engine.store, wanted, options };
    const images = await copyImage(copying, root);
    const [first] = images;
    if (!first && wanted.length === 0) continue; // it is something that is said of another
    if (!first)
      throw new EngineError("not-found", `${shown} does not provide the specified platform (${platforms.join(", ")})`);
    const names = name === undefined ? namesOf(root) : fullNames([name]);
    const image = { target: bare(root), platforms: images };
    for (const each of names)
      loaded.push({ name: (await engine.images.put({ ...image, name: each })).name, imageId: first.imageId });
    if (names.length > 0) continue;
    await engine.images.keep(image);
    loaded.push({ name: undefined, imageId: first.imageId });
  }
  if (loaded.length === 0) throw new EngineError("invalid", `${shown} holds no image`);
  return loaded;
}

async function openImages(
  engine: LoadEngine,
  from: LoadRequest["from"],
  options: AbortOptions & { readonly scope: Scope },
): Promise<Layout> {
  const isDirectory = typeof from === "string" && fs.statSync(from, { throwIfNoEntry: false })?.isDirectory();
  if (isDirectory) return openLayout(path.resolve(from), options);
  const workspace = await engine.layers.create([]);
  options.scope.defer(() => engine.layers.abandon(workspace));
  const directory = await unpackFiles(engine, { from, workspace }, options);
  if (!["index.json", "manifest.json"].some((name) => fs.existsSync(path.join(directory, name)))) {
    throw new EngineError(
      "invalid",
      `${shownSource(from)} is no image archive: it has neither an index.json nor a manifest.json`,
      {
        hint: "ashlar import makes an image of an archive of files.",
      },
    );
  }
  return openLayout(directory, options);
}

/** The names that an entry of a layout carries, in full. */
function namesOf({ annotations }: Descriptor): readonly string[] {
  const reference = annotations?.[REF_NAME_ANNOTATION];
  const name = annotations?.[IMAGE_NAME_ANNOTATION] ?? (reference && /[:/]/.test(reference) ? reference : undefined);
  return name === undefined ? [] : [formatReference(withDefaultTag(parseReference(name)))];
}

/** DESCRIPTOR without what only says how it is called in a layout. */
function bare({ annotations, ...descriptor }: Descriptor): Descriptor {
  const kept = Object.entries(annotations ?? {}).filter(([key]) => !NAMING.has(key));
  return kept.length === 0 ? descriptor : { ...descriptor, annotations: Object.fromEntries(kept) };
}

const NAMING: ReadonlySet<string> = new Set([
  IMAGE_NAME_ANNOTATION,
  REF_NAME_ANNOTATION,
  "org.opencontainers.image.created",
]);

interface Copying {
  readonly layout: Layout;
  readonly store: ContentStore;
  /** Only these; all if there are none. */
  readonly wanted: readonly Platform[];
  readonly options: ExportOptions;
}

/** Copies everything under ROOT, children first, and tells the images it holds. */
async function copyImage(copying: Copying, root: Descriptor): Promise<readonly PlatformImage[]> {
  const { layout, store, options } = copying;
  const document = await readManifestOrIndex(layout, root, abortOf(options));
  const images =
    document.kind === "index"
      ? await copyIndex(copying, document.index)
      : await copyManifest(copying, root, document.manifest);
  await store.ensure(root, layout, abortOf(options));
  return images;
}

/** An archive of one platform of several may name manifests that it hasn't. */
async function copyIndex(copying: Copying, { manifests }: Index): Promise<readonly PlatformImage[]> {
  const { layout } = copying;
  const images: PlatformImage[] = [];
  for (const child of manifests) {
    if (!layout.has(child.digest)) continue;
    if (child.platform && !isWanted(copying, child.platform) && child.platform.os !== "unknown") continue;
    images.push(...(await copyImage(copying, child)));
  }
  return images;
}

function isWanted({ wanted }: Copying, platform: Platform): boolean {
  return wanted.length === 0 || wanted.some((each) => platformRank(each, platform) === 0);
}

async function copyManifest(copying: Copying, root: Descriptor, manifest: Manifest): Promise<readonly PlatformImage[]> {
  const { layout, store, options } = copying;
  const isImage = isImageManifest(root, manifest);
  const config = isImage ? await readImageConfig(layout, manifest, abortOf(options)) : undefined;
  const platform = config && configPlatform(config);
  if (platform && !isWanted(copying, platform)) return [];
  for (const descriptor of [...manifest.layers, manifest.config]) {
    const id = `loading layer ${descriptor.digest}`;
    const size = descriptor.size;
    options.onProgress?.({ id, current: 0, total: size, done: false });
    await store.ensure(descriptor, layout, abortOf(options));
    options.onProgress?.({ id, current: size, total: size, done: true });
  }
  return platform ? [{ imageId: manifest.config.digest, manifest: { ...bare(root), platform } }] : [];
}

function abortOf({ signal }: AbortOptions): AbortOptions {
  return signal ? { signal } : {};
}
