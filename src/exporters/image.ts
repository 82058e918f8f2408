import type { Attestation } from "../attest/index.js";
import type { Descriptor, ImageConfig, Layer, Platform } from "../oci/index.js";
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

/** Images whose documents are in the content store. */
export interface WrittenImages {
  /** The manifest of an only image, the index of several or of one with attestations. */
  readonly root: Descriptor;
  readonly images: readonly WrittenImage[];
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
