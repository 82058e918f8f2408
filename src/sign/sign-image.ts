import { type AbortOptions, type Digest, digestOf, EngineError } from "../base/index.js";
import {
  type Descriptor,
  encodeManifest,
  MANIFEST_BYTES_MAX,
  type Manifest,
  MediaType,
  parseManifestOrIndex,
  readAll,
} from "../oci/index.js";
import type { Repository } from "../registry/index.js";
import { BUNDLE_TYPE, createBundle, isBundleOf, SIGN_PREDICATE_TYPE, signStatement } from "./bundle.js";
import { addReferrer, bytesProvider, referrersOf, resolveTag } from "./referrers.js";
import type { SigningKey } from "./signing-key.js";
import { isSignatures, isSigned, signatureTag, simplePayload, simpleSignature } from "./simple-signing.js";

/** What became of a signature: it is new, or this key's was there. */
export type SignOutcome = "signed" | "present";

/** Images of one index that are signed, too. */
const IMAGES_MAX = 256;

/**
 * The images that a signature of ROOT should be there for: itself, and what an index lists but for attestations, since some verifiers look
 * at the index and others at the image that they run. Errors: those of the repository, `invalid`.
 */
export async function imagesToSign(
  repository: Repository,
  root: Descriptor,
  options: AbortOptions = {},
): Promise<readonly Descriptor[]> {
  const bytes = await readAll(repository, root, MANIFEST_BYTES_MAX, options);
  const document = parseManifestOrIndex(bytes, root.mediaType);
  if (document.kind === "manifest") return [root];
  const images = document.index.manifests.filter(
    ({ annotations = {} }) => annotations["vnd.docker.reference.type"] !== "attestation-manifest",
  );
  if (images.length > IMAGES_MAX)
    throw new EngineError("invalid", `${root.digest} lists ${images.length} images: at most ${IMAGES_MAX} are signed`);
  return [root, ...images];
}

/**
 * Signs the image SUBJECT of REPOSITORY in both of the forms that are about: a Sigstore bundle that refers to it, which cosign 3 looks for,
 * and a simple signature under a tag, which cosign 2, podman, skopeo and CRI-O read. Signatures of others stay; where this key's is there,
 * nothing is written. Errors: those of the registry, `unsupported` as of `createBundle`.
 */
export async function signImage(
  repository: Repository,
  subject: Descriptor,
  key: SigningKey,
  options: AbortOptions = {},
): Promise<SignOutcome> {
  const bundled = await putBundle(repository, subject, key, options);
  const simple = await putSimple(repository, subject.digest, key, options);
  return bundled === "present" && simple === "present" ? "present" : "signed";
}

async function putSimple(
  repository: Repository,
  subject: Digest,
  key: SigningKey,
  options: AbortOptions,
): Promise<SignOutcome> {
  const tag = signatureTag(subject);
  const previous = await manifestAt(repository, await resolveTag(repository, tag, options), options);
  if (previous && !isSignatures(previous))
    throw new EngineError("failed", `${repository.name}:${tag} should hold signatures, but is an image itself`);
  const payload = simplePayload(repository.name, subject);
  if (previous && isSigned(previous, payload, key)) return "present";
  const made = simpleSignature(payload, key, previous);
  for (const { descriptor, bytes } of [made.payload, made.config])
    await repository.putBlob(descriptor, bytesProvider(bytes), options);
  await repository.putManifest(describe(MediaType.ociManifest, made.manifest), made.manifest, tag, options);
  return "signed";
}

/** Bundles of others that are looked into, and the bytes of one. */
const BUNDLES_MAX = 64;
const BUNDLE_BYTES_MAX = 1024 * 1024;

async function putBundle(
  repository: Repository,
  subject: Descriptor,
  key: SigningKey,
  options: AbortOptions,
): Promise<SignOutcome> {
  const statement = signStatement(subject.digest);
  const { known, isKept } = await referrersOf(repository, subject.digest, options);
  const bundles = known.filter(({ artifactType }) => artifactType === BUNDLE_TYPE).slice(-BUNDLES_MAX);
  for (const each of bundles) {
    const manifest = await manifestAt(repository, each, options);
    const [layer] = manifest?.layers ?? [];
    if (!layer || layer.size > BUNDLE_BYTES_MAX) continue;
    if (isBundleOf(await readAll(repository, layer, BUNDLE_BYTES_MAX, options), statement, key)) return "present";
  }
  const bundle = await createBundle(statement, key);
  const layer = describe(BUNDLE_TYPE, bundle);
  const config = describe(EMPTY_TYPE, EMPTY_BYTES);
  await repository.putBlob(layer, bytesProvider(bundle), options);
  await repository.putBlob(config, bytesProvider(EMPTY_BYTES), options);
  const annotations = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": SIGN_PREDICATE_TYPE,
  };
  const { mediaType, digest, size } = subject;
  const bytes = encodeManifest({
    mediaType: MediaType.ociManifest,
    artifactType: BUNDLE_TYPE,
    config,
    layers: [layer],
    subject: { mediaType, digest, size },
    annotations,
  });
  const manifest = describe(MediaType.ociManifest, bytes);
  await repository.putManifest(manifest, bytes, manifest.digest, options);
  if (!isKept) await addReferrer(repository, digest, { ...manifest, artifactType: BUNDLE_TYPE, annotations }, options);
  return "signed";
}

const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";
const EMPTY_BYTES = Buffer.from("{}");

async function manifestAt(
  repository: Repository,
  target: Descriptor | undefined,
  options: AbortOptions,
): Promise<Manifest | undefined> {
  if (target === undefined) return undefined;
  const document = parseManifestOrIndex(
    await readAll(repository, target, MANIFEST_BYTES_MAX, options),
    target.mediaType,
  );
  return document.kind === "manifest" ? document.manifest : undefined;
}

function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}
