import fs from "node:fs";
import path from "node:path";
import { EngineError, Scope } from "../base/index.js";
import {
  configPlatform,
  type Descriptor,
  IMAGE_NAME_ANNOTATION,
  isConfigType,
  type Layout,
  type Manifest,
  openLayout,
  REF_NAME_ANNOTATION,
  readImageConfig,
  readManifestOrIndex,
} from "../oci/index.js";
import type { ContentStore, ImageStore, PlatformImage } from "../store/index.js";
import type { BuildEngine } from "./build.js";
import { unpackArchive } from "./stream-context.js";

interface LoadTarget {
  readonly store: ContentStore;
  readonly images: ImageStore;
}

/** Takes the images of an OCI layout or docker archive (a directory or a tar file) into the image store; the id of the first. */
export async function loadImages(
  engine: BuildEngine,
  target: LoadTarget,
  from: { readonly path: string; readonly name: string | undefined },
): Promise<string> {
  await using scope = new Scope();
  const layout = await openLayout(await directoryOf(engine, from.path, scope));
  let first: string | undefined;
  for (const root of layout.index.manifests) {
    const platforms = await copyImage(layout, root, target.store);
    const names = from.name === undefined ? namesOf(root) : [from.name];
    if (names.length === 0)
      throw new EngineError("invalid", `the images in ${from.path} carry no names`, { hint: "give one with -t" });
    for (const name of names) await target.images.put({ name, target: root, platforms });
    first ??= platforms[0]?.imageId;
  }
  if (first === undefined) throw new EngineError("invalid", `${from.path} holds no image`);
  return first;
}

async function directoryOf({ plane, layers, dirs }: BuildEngine, file: string, scope: Scope): Promise<string> {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new EngineError("not-found", `${file}: no such file or directory`);
  if (stat.isDirectory()) return path.resolve(file);
  const workspace = await layers.create([]);
  scope.defer(() => layers.abandon(workspace));
  await unpackArchive(plane, { directory: path.dirname(path.resolve(file)), name: path.basename(file) }, workspace, {});
  return path.join(dirs.layers, String(workspace.layer), "fs");
}

function namesOf({ annotations }: Descriptor): string[] {
  const name = annotations?.[IMAGE_NAME_ANNOTATION];
  if (name) return [name];
  const reference = annotations?.[REF_NAME_ANNOTATION];
  return reference?.includes(":") || reference?.includes("/") ? [reference] : [];
}

/** Copies everything under ROOT, children first, and tells the platforms it holds. */
async function copyImage(layout: Layout, root: Descriptor, store: ContentStore): Promise<readonly PlatformImage[]> {
  const document = await readManifestOrIndex(layout, root);
  const platforms: PlatformImage[] = [];
  if (document.kind === "index") {
    for (const child of document.index.manifests) platforms.push(...(await copyImage(layout, child, store)));
  } else {
    platforms.push(...(await copyManifest(layout, { root, manifest: document.manifest }, store)));
  }
  await store.ensure(root, layout);
  return platforms;
}

async function copyManifest(
  layout: Layout,
  { root, manifest }: { readonly root: Descriptor; readonly manifest: Manifest },
  store: ContentStore,
): Promise<readonly PlatformImage[]> {
  for (const descriptor of [...manifest.layers, manifest.config]) await store.ensure(descriptor, layout);
  // What is said of an image comes along with it, but is none.
  const isImage = isConfigType(manifest.config.mediaType) && root.annotations?.[REFERENCE_TYPE] === undefined;
  if (!isImage) return [];
  const config = await readImageConfig(store, manifest);
  return [{ imageId: manifest.config.digest, manifest: { ...root, platform: configPlatform(config) } }];
}

/** How an index marks what is no image to run. */
const REFERENCE_TYPE = "vnd.docker.reference.type";
