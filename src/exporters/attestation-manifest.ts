import { type Attestation, imagePackageUrl, STATEMENT_TYPE, statementOf } from "../attest/index.js";
import { digestOf } from "../base/index.js";
import { type Descriptor, encodeManifest, MediaType } from "../oci/index.js";
import type { WrittenImage } from "./image.js";

/** A blob or document that is to be kept. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** How BuildKit keeps what is said of an image (its docs/attestations/attestation-storage.md). */
export interface AttestationForm {
  /** What the image is called; each name is a subject of the statements. */
  readonly names: readonly string[];
  /** As an artifact that names its subject; else as an image whose layers are the statements. */
  readonly ociArtifact: boolean;
}

/** The manifest that holds what ATTESTATIONS say of IMAGE, as an index lists it, and what it points to. */
export function attestationDocuments(
  attestations: readonly Attestation[],
  image: Pick<WrittenImage, "manifest" | "layers" | "platform">,
  { names, ociArtifact }: AttestationForm,
): { readonly manifest: Document; readonly parts: readonly Document[] } {
  const { manifest: subject, layers, platform } = image;
  const subjects = names.map((name) => ({ name: imagePackageUrl(name, platform), digest: subject.digest }));
  const statements = attestations.map((attestation): Document => {
    const bytes = Buffer.from(JSON.stringify(statementOf(attestation, subjects, layers)));
    const annotations = { "in-toto.io/predicate-type": attestation.predicateType };
    return { bytes, descriptor: { ...describe(STATEMENT_TYPE, bytes), annotations } };
  });
  const config = ociArtifact ? EMPTY_CONFIG : imageConfig(statements);
  const bytes = encodeManifest({
    mediaType: MediaType.ociManifest,
    ...(ociArtifact ? { artifactType: ARTIFACT_TYPE, subject: bare(subject) } : {}),
    config: config.descriptor,
    layers: statements.map(({ descriptor }) => descriptor),
  });
  const manifest = {
    ...describe(MediaType.ociManifest, bytes),
    annotations: {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": subject.digest,
    },
    platform: { os: "unknown", architecture: "unknown" },
  };
  return { manifest: { descriptor: manifest, bytes }, parts: [config, ...statements] };
}

const ARTIFACT_TYPE = "application/vnd.docker.attestation.manifest.v1+json";
const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";
const EMPTY_BYTES = Buffer.from("{}");
/** It says itself what it holds, as BuildKit's does. */
const EMPTY_CONFIG: Document = {
  descriptor: { ...describe(EMPTY_TYPE, EMPTY_BYTES), data: EMPTY_BYTES.toString("base64") },
  bytes: EMPTY_BYTES,
};

/** For registries that take only images. */
function imageConfig(statements: readonly Document[]): Document {
  const diffIds = statements.map(({ descriptor }) => descriptor.digest);
  const config = { architecture: "unknown", os: "unknown", config: {}, rootfs: { type: "layers", diff_ids: diffIds } };
  const bytes = Buffer.from(JSON.stringify(config));
  return { descriptor: describe(MediaType.ociConfig, bytes), bytes };
}

function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}
