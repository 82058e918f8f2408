import { type AbortOptions, EngineError, errorCode, Flight, messageOf } from "../base/index.js";
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  formatReference,
  MANIFEST_BYTES_MAX,
  type Platform,
  parseManifestOrIndex,
  parseReference,
  type Reference,
  type ReportRead,
  readAll,
  reported,
  repositoryName,
  withDefaultTag,
} from "../oci/index.js";
import { type Registry, type Repository, Schema1Error } from "../registry/index.js";
import {
  type ContentStore,
  type ImageStore,
  MissingBlob,
  onlyLooking,
  type ReferenceStore,
  tiered,
} from "../store/index.js";
import { adoptSchema1 } from "./schema1.js";
import { type SourceImage, selectImage } from "./source-image.js";

/** Images by their names, from this machine if it knows them, else from a registry. */
export interface ImageSource {
  /**
   * The image that NAME, as a user wrote it, stands for on PLATFORM. The registry is asked only if neither the image store nor an
   * earlier answer of the registry's knows the name, or with `pull`; its answer is kept, so that the next build needs no network.
   * Errors, with the name as it was written: `invalid`, `not-found`, `denied`, `unavailable`, `unsupported`, `data-loss`.
   */
  resolve(name: string, platform: Platform, options?: ResolveOptions): Promise<SourceImage>;
}

export interface ResolveOptions extends AbortOptions {
  /** Ask the registry what a tag stands for now. A digest always stands for the same. */
  readonly pull?: boolean;
}

export interface ImageSourceOptions {
  readonly images: ImageStore;
  readonly references: ReferenceStore;
  readonly content: ContentStore;
  readonly registry: Registry;
  /** Hears of what is fetched from registries, later reads of layers included. */
  readonly onFetch?: ReportRead | undefined;
  /** Hears of images in a form that is going away. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

export function createImageSource(options: ImageSourceOptions): ImageSource {
  const flight = new Flight<string, SourceImage>();
  return {
    async resolve(name, platform, { pull = false, signal } = {}) {
      try {
        const reference = withDefaultTag(parseReference(name));
        const key = JSON.stringify([formatReference(reference), formatPlatform(platform), pull]);
        return await flight.do(key, (shared) => find(options, reference, platform, { pull, signal: shared }), {
          signal,
        });
      } catch (cause) {
        throw withName(name, cause);
      }
    },
  };
}

async function find(
  sources: ImageSourceOptions,
  reference: Reference,
  platform: Platform,
  options: ResolveOptions,
): Promise<SourceImage> {
  const { images, references, content, registry, onFetch } = sources;
  const repository = registry.repository(reference);
  const provider = tiered(content, onFetch === undefined ? repository : reported(repository, onFetch));
  const select = async (root: Descriptor): Promise<SourceImage> => {
    try {
      const image = await selectImage(provider, root, platform, options);
      return isLocal(sources, reference, root) ? { ...image, isLocal: true } : image;
    } catch (error) {
      if (errorCode(error) === "not-found") throw error;
      throw (await localDamage({ sources, reference, error }, platform, options)) ?? error;
    }
  };
  const roots = [
    () => pinned(reference, content, options),
    () => (options.pull ? undefined : images.get(formatReference(reference))?.target),
    () => (options.pull ? undefined : references.get(reference)?.target),
  ];
  for (const known of roots) {
    const root = await known();
    const image = root && (await unlessMissing(select(root)));
    if (image !== undefined) return image;
  }
  const root = await ask(repository, reference, options)
    .catch((error: unknown) => converted(error, { repository, reference, sources }, options))
    .catch(async (error: unknown) => {
      throw (await localDamage({ sources, reference, error }, platform, options)) ?? error;
    });
  const image = await select(root);
  await references.put(reference, root, options);
  return { ...image, isLocal: false };
}

/** Whether the image is of this machine, and its repository was never seen to have it. */
function isLocal({ images, references }: ImageSourceOptions, reference: Reference, { digest }: Descriptor): boolean {
  const repository = repositoryName(reference);
  const isSame = ({ target }: { readonly target: Descriptor }) => target.digest === digest;
  if (!images.list().some(isSame)) return false;
  return !references.list().some((each) => isSame(each) && repositoryName(parseReference(each.name)) === repository);
}

interface Failed {
  readonly sources: ImageSourceOptions;
  readonly reference: Reference;
  readonly error: unknown;
}

/** What is the matter with an image of this machine's that is damaged, where ERROR says that no registry has what it lacks. */
async function localDamage(
  { sources: { images, content }, reference, error }: Failed,
  platform: Platform,
  options: ResolveOptions,
): Promise<EngineError | undefined> {
  const name = familiarReference(reference);
  const root =
    options.pull || errorCode(error) === "canceled" ? undefined : images.get(formatReference(reference))?.target;
  if (!root) return undefined;
  try {
    await selectImage(onlyLooking(content), root, platform, options);
    return undefined;
  } catch (damage) {
    // A platform that the image hasn't got is no damage.
    if (errorCode(damage) === "not-found" && !(damage instanceof MissingBlob)) return undefined;
    const text = `the image ${name} of this machine is damaged (${messageOf(damage)}), and its registry does not help: ${messageOf(error)}`;
    return new EngineError("data-loss", text, { cause: error, hint: `build or pull ${name} again` });
  }
}

/** What a digest stands for, if the store has it. */
async function pinned(
  reference: Reference,
  content: ContentStore,
  options: AbortOptions,
): Promise<Descriptor | undefined> {
  const { digest } = reference;
  const info = digest && (await content.info(digest, options));
  if (info === undefined) return undefined;
  const blob = { mediaType: "", digest: info.digest, size: info.sizeBytes };
  const bytes = await readAll(content, blob, MANIFEST_BYTES_MAX, options).catch(unlessDamaged);
  if (!bytes) return undefined;
  const document = parseManifestOrIndex(bytes, undefined);
  return { ...blob, mediaType: document.kind === "index" ? document.index.mediaType : document.manifest.mediaType };
}

function unlessDamaged(error: unknown): undefined {
  if (errorCode(error) !== "data-loss") throw error;
}

async function ask(
  repository: Repository,
  { digest, tag = "latest" }: Reference,
  options: AbortOptions,
): Promise<Descriptor> {
  return repository.resolve(digest === undefined ? { tag } : { digest }, options);
}

interface Asked {
  readonly repository: Repository;
  readonly reference: Reference;
  readonly sources: ImageSourceOptions;
}

/** The image of an ERROR that tells that it is in Docker's schema 1, in today's form. */
async function converted(
  error: unknown,
  { repository, reference, sources: { content, onNotice } }: Asked,
  options: AbortOptions,
): Promise<Descriptor> {
  if (!(error instanceof Schema1Error)) throw error;
  const name = formatReference(reference);
  onNotice?.(
    `${name} is in the form of Docker's schema 1, which registries give up: it is converted; push it again to keep it`,
  );
  return adoptSchema1(error.image, { repository, content }, options);
}

/** What is known may be of another platform, or partly pruned here and gone there: then the registry is asked. */
async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (errorCode(error) === "not-found") return undefined;
    throw error;
  }
}

/** ERROR with the NAME in front, where the registry's client hasn't said it. */
function withName(name: string, error: unknown): EngineError {
  const code = errorCode(error);
  if (error instanceof EngineError && (code === "canceled" || error.message.includes(name))) return error;
  const { hint } = error instanceof EngineError ? error : { hint: undefined };
  return new EngineError(code, `${name}: ${messageOf(error)}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
