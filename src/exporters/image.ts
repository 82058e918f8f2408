import type { Attestation } from "../attest/index.js";
import type { Descriptor, ImageConfig, Layer, Platform, Provider } from "../oci/index.js";
import type { Tree } from "../snapshot/index.js";

/** One platform's result of a build. */
export interface ExportedImage {
  readonly platform: Platform;
  readonly tree: Tree;
  /** As the frontend gave it: without layers, and with times only where the build fixes them. */
  readonly config: ImageConfig;
  /** How many of the tree's layers, from the bottom, are the base image's. */
  readonly baseLayers: number;
  readonly attestations?: readonly Attestation[] | undefined;
}

/** Images that are written as documents and blobs. */
export interface WrittenImages {
  /** The manifest of an only image, the index of several or of one with attestations. */
  readonly root: Descriptor;
  readonly images: readonly WrittenImage[];
  /** Gives the documents, and the blobs that are in the content store. */
  readonly provider: Provider;
}

/** What is said of an image: a manifest, and what it points to. */
export interface WrittenAttestations {
  readonly manifest: Descriptor;
  /** Its config, which may stand for nothing, and the statements. */
  readonly blobs: readonly Descriptor[];
}

export interface WrittenImage {
  readonly platform: Platform;
  /** With the platform and the annotations an index shows. */
  readonly manifest: Descriptor;
  /** Its digest is the image's id. */
  readonly config: Descriptor;
  readonly layers: readonly Layer[];
  readonly attestations: WrittenAttestations | undefined;
}
