import { type Digest, digestOf } from "../base/index.js";
import { type Descriptor, encodeManifest, type Manifest, MediaType } from "../oci/index.js";
import type { SigningKey } from "./signing-key.js";

/** The tag that signatures of the image SUBJECT stand under: `sha256-….sig` (cosign's signature specification). */
export function signatureTag(subject: Digest): string {
  return `${subject.replace(":", "-")}.sig`;
}

/** What is signed: that the image SUBJECT is the one called NAME, a repository (containers' "simple signing"). */
export function simplePayload(name: string, subject: Digest): Buffer {
  const identity = { "docker-reference": name };
  const critical = {
    identity,
    image: { "docker-manifest-digest": subject },
    type: "cosign container image signature",
  };
  return Buffer.from(JSON.stringify({ critical, optional: null }));
}

/** Whether MANIFEST holds signatures and nothing else. */
export function isSignatures({ layers }: Manifest): boolean {
  return layers.every(({ mediaType }) => mediaType === PAYLOAD_TYPE);
}

/** Whether one of the signatures in MANIFEST is KEY's of PAYLOAD. */
export function isSigned({ layers }: Manifest, payload: Buffer, key: SigningKey): boolean {
  const digest = digestOf(payload);
  return layers.some(({ digest: signed, annotations = {} }) => {
    const signature = annotations[SIGNATURE_ANNOTATION];
    return signed === digest && signature !== undefined && key.verify(payload, Buffer.from(signature, "base64"));
  });
}

/** Documents that hold signatures, the new one beside those that were there. */
export interface SignatureDocuments {
  readonly manifest: Buffer;
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer };
  readonly payload: { readonly descriptor: Descriptor; readonly bytes: Buffer };
}

/** PAYLOAD's signature by KEY, added to those of PREVIOUS. */
export function simpleSignature(payload: Buffer, key: SigningKey, previous: Manifest | undefined): SignatureDocuments {
  const descriptor = { mediaType: PAYLOAD_TYPE, digest: digestOf(payload), size: payload.length };
  const signature = key.sign(payload).toString("base64");
  const layers = [...(previous?.layers ?? []), { ...descriptor, annotations: { [SIGNATURE_ANNOTATION]: signature } }];
  const config = configOf(layers);
  const { annotations } = previous ?? {};
  const manifest = encodeManifest({
    mediaType: MediaType.ociManifest,
    config: config.descriptor,
    layers,
    ...(annotations ? { annotations } : {}),
  });
  return { manifest, config, payload: { descriptor, bytes: payload } };
}

const PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature";

/** An image's, for registries that take nothing else. */
function configOf(layers: readonly Descriptor[]): SignatureDocuments["config"] {
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const bytes = Buffer.from(JSON.stringify({ architecture: "", os: "", config: {}, rootfs }));
  return { bytes, descriptor: { mediaType: MediaType.ociConfig, digest: digestOf(bytes), size: bytes.length } };
}
