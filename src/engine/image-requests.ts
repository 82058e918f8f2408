import type { ImageConfig } from "../oci/index.js";
import type { ProgressSink } from "../progress/index.js";

/**
 * The images of the local store. An IMAGE is named as users do: `app`, `app:1`, `repo@sha256:…`, or by the beginning of its id. Errors of
 * all: `not-found` ("No such image: x"), `invalid` for a malformed name, `canceled`, `no-space`.
 */
export interface LocalImages {
  /** Newest first; several names of an image are several entries. */
  list(query?: ImageQuery): Promise<readonly StoredImage[]>;
  inspect(image: string, options?: { readonly platform?: string | undefined }): Promise<ImageDetails>;
  /** Gives an image one more name; another image that had it stays without. */
  tag(image: string, name: string): Promise<void>;
  /** Takes a name away, or with the last one the image. Errors: `denied` where that needs `force`. */
  remove(image: string, options?: RemoveImageOptions): Promise<RemovedImages>;
  /** Removes images without a name, or all. */
  prune(request?: PruneImagesRequest): Promise<RemovedImages & { readonly freedBytes: number }>;
  /** Writes images to an archive that docker, podman and others load; the bytes written. A stream is ended. */
  save(request: SaveImagesRequest): Promise<number>;
  /** Takes the images of an archive, or of a directory, into the store. */
  load(request: LoadImagesRequest): Promise<readonly LoadedImage[]>;
  /** Makes an image of the files in an archive; its id. */
  import(request: ImportImageRequest): Promise<string>;
  /** Fetches an image from its registry. Errors also as of a build's base image. */
  pull(request: PullImageRequest): Promise<PulledImage>;
  /** Full names of all images of a repository in its registry, NAME having no tag. Errors also: `denied`, `unavailable`, `failed`. */
  tagsOf(name: string, work?: ImageWork): Promise<readonly string[]>;
  /** Sends an image to its registry. Errors also: `denied`, `unavailable`, `failed`. */
  push(request: PushImageRequest): Promise<readonly PushedImage[]>;
}

/** What runs for long: it tells how far it is, and can be stopped. */
export interface ImageWork {
  readonly onProgress?: ProgressSink["emit"] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which images; all conditions hold of each. */
export interface ImageQuery {
  /** One of these matches the name, with tag or without (Go's `path.Match`). */
  readonly references?: readonly string[] | undefined;
  /** Whether it has no name. */
  readonly dangling?: boolean | undefined;
  /** `key` or `key=value`: labels that it has, and labels that it hasn't. */
  readonly labels?: readonly string[] | undefined;
  readonly withoutLabels?: readonly string[] | undefined;
  /** Made before, or after, these images. */
  readonly before?: readonly string[] | undefined;
  readonly since?: readonly string[] | undefined;
  /** Made before this time, in milliseconds since the epoch. */
  readonly until?: number | undefined;
}

export interface StoredImage {
  /** Full name: `docker.io/library/hello:latest`; undefined where another image has got it since. */
  readonly name: string | undefined;
  readonly imageId: string;
  /** Of the manifest or index. */
  readonly digest: string;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number | undefined;
  readonly platforms: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** All that is known of an image for one platform. */
export interface ImageDetails {
  readonly imageId: string;
  /** In full. */
  readonly names: readonly string[];
  /** By what digests its names' repositories can be asked for it: `docker.io/library/app@sha256:…`. */
  readonly repositoryDigests: readonly string[];
  readonly digest: string;
  readonly descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly platform: string;
  readonly config: ImageConfig;
  /** Bottom first. */
  readonly layers: readonly { readonly digest: string; readonly diffId: string; readonly sizeBytes: number }[];
  readonly sizeBytes: number;
  /** When it got its name, in milliseconds since the epoch. */
  readonly taggedAt: number;
}

export interface RemoveImageOptions {
  /** Also with several names, and while a build works with it. */
  readonly force?: boolean | undefined;
  /** Leave what it consists of on disk, for a later prune. */
  readonly keepContent?: boolean | undefined;
}

export interface RemovedImages {
  /** Names that were taken away, in full. */
  readonly untagged: readonly string[];
  /** Ids of images that are gone. */
  readonly deleted: readonly string[];
}

export interface PruneImagesRequest extends Pick<ImageQuery, "labels" | "withoutLabels" | "until"> {
  /** Not only images without a name. */
  readonly all?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SaveImagesRequest extends ImageWork {
  readonly images: readonly string[];
  readonly dest: string | NodeJS.WritableStream;
  /** Only these; default: all that are here. */
  readonly platforms?: readonly string[] | undefined;
}

export interface LoadImagesRequest extends ImageWork {
  /** The path of an archive (docker's or OCI's, compressed or not) or of a layout directory, or the bytes of an archive. */
  readonly from: string | AsyncIterable<Uint8Array>;
  /** What the images are called, in place of the names that they carry. */
  readonly name?: string | undefined;
  readonly platforms?: readonly string[] | undefined;
}

export interface LoadedImage {
  /** Full name; undefined for an image without. */
  readonly name: string | undefined;
  readonly imageId: string;
}

export interface ImportImageRequest extends ImageWork {
  /** The path of a tar archive, compressed or not, or its bytes. */
  readonly from: string | AsyncIterable<Uint8Array>;
  readonly name?: string | undefined;
  /** Instructions of a Dockerfile: `CMD ["sh"]`, `ENV A=b`. */
  readonly changes?: readonly string[] | undefined;
  /** What the history says of it. */
  readonly message?: string | undefined;
  readonly platform?: string | undefined;
}

export interface PullImageRequest extends ImageWork {
  readonly name: string;
  /** Default: this machine's. */
  readonly platform?: string | undefined;
}

export interface PulledImage {
  /** Full name. */
  readonly name: string;
  readonly imageId: string;
  readonly digest: string;
  /** Whether the store had it under this name. */
  readonly wasHere: boolean;
}

export interface PushImageRequest extends ImageWork {
  readonly name: string;
  /** Every tag of the repository. */
  readonly allTags?: boolean | undefined;
  /** Only this of several. */
  readonly platform?: string | undefined;
}

export interface PushedImage {
  /** Full name. */
  readonly name: string;
  readonly digest: string;
  /** Bytes of the manifest or index. */
  readonly sizeBytes: number;
}
