import { type AbortOptions, EngineError, errorCode, messageOf, readRegularFile, systemClock } from "../base/index.js";
import { parseStoreOutput } from "../exporters/index.js";
import { type Descriptor, parseReference, type Reference, repositoryName, withDefaultTag } from "../oci/index.js";
import type { Registry } from "../registry/index.js";
import type { SigningKey, SignOutcome } from "../sign/index.js";
import { openRegistry } from "./registries.js";
import type { BuildRequest, EngineOptions, SigningSpec } from "./request.js";

/** Refuses to sign what goes to no registry. Throws `invalid`. */
export function checkSigning({ sign, outputs = [] }: BuildRequest): void {
  if (sign === undefined) return;
  if (!outputs.some(({ type, attrs }) => type === "image" && parseStoreOutput(attrs ?? {}).push))
    throw new EngineError("invalid", "only images that are pushed can be signed: signatures lie beside them", {
      hint: "add --push, or use ashlar sign when the image is in a registry",
    });
}

/**
 * The key that a build or a command is to sign with. Errors: `not-found`, `denied` or `invalid` for its file, `denied` for a passphrase that is
 * missing or wrong, `unsupported` for a kind of key, or where sigstore-js is not installed.
 */
export async function openSigningKey({ key: file, passphrase }: SigningSpec): Promise<SigningKey> {
  const { KEY_BYTES_MAX, prepareSigning, readSigningKey } = await import("../sign/index.js");
  await prepareSigning();
  const pem = await readRegularFile(file, KEY_BYTES_MAX).catch((cause) => {
    throw new EngineError(errorCode(cause), `the signing key can't be read: ${messageOf(cause)}`, { cause });
  });
  return readSigningKey(pem, passphrase);
}

/** An image that lies in registries. */
export interface Signing {
  readonly root: Descriptor;
  /** Any names of the repositories that it lies in. */
  readonly names: readonly string[];
  readonly key: SigningKey;
}

/** Signs an image and those that it lists, in each repository that one of NAMES is in. Errors: `signImage`'s, with the repository's name. */
export async function signPushed(
  registry: Registry,
  { root, names, key }: Signing,
  options: AbortOptions,
): Promise<void> {
  const references = new Map(names.map(parseReference).map((each) => [repositoryName(each), each] as const));
  for (const reference of references.values()) await signIn(registry, reference, { root, key }, options);
}

/** Which image of a registry is to be signed. */
export interface SignRequest extends AbortOptions, SigningSpec {
  /** `registry.example/app:1`, or by digest. */
  readonly image: string;
}

export interface SignResult {
  /** `registry.example/app@sha256:…`. */
  readonly image: string;
  /** `present`: this key's signatures were all there. */
  readonly outcome: SignOutcome;
}

/** Signs an image of a registry, and those that it lists. Errors: those of `openSigningKey`, `invalid` for the name, those of the registry. */
export async function signImages(
  { image, signal, ...spec }: SignRequest,
  surroundings: Pick<EngineOptions, "env" | "dockerConfig">,
): Promise<SignResult> {
  const options = signal ? { signal } : {};
  const reference = withDefaultTag(parseReference(image));
  const key = await openSigningKey(spec);
  await using registry = openRegistry(surroundings, systemClock);
  const { digest, tag = "latest" } = reference;
  const repository = registry.repository(reference, { direct: true });
  const root = await repository.resolve(digest === undefined ? { tag } : { digest }, options);
  const outcome = await signIn(registry, reference, { root, key }, options);
  return { image: `${repositoryName(reference)}@${root.digest}`, outcome };
}

async function signIn(
  registry: Registry,
  reference: Reference,
  { root, key }: Pick<Signing, "root" | "key">,
  options: AbortOptions,
): Promise<SignOutcome> {
  const { imagesToSign, signImage } = await import("../sign/index.js");
  const repository = registry.repository(reference, { direct: true });
  try {
    const outcomes: SignOutcome[] = [];
    for (const image of await imagesToSign(repository, root, options))
      outcomes.push(await signImage(repository, image, key, options));
    return outcomes.every((outcome) => outcome === "present") ? "present" : "signed";
  } catch (cause) {
    const code = errorCode(cause);
    if (code === "canceled") throw cause;
    throw new EngineError(code, `failed to sign ${repository.name}@${root.digest}: ${messageOf(cause)}`, { cause });
  }
}
