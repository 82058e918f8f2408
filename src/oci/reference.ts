import { type Digest, EngineError, isDigest } from "../base/index.js";

/** An image's full name (distribution reference): `docker.io`, `library/alpine`, a tag, a digest. */
export interface Reference {
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/**
 * Reads a name as people write it, with Docker Hub's defaults (`alpine` is `docker.io/library/alpine`). No tag is added.
 * Throws `invalid` with the sentence users know: `invalid reference format`.
 */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw new EngineError("invalid", `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const [registry, remainder] = splitRegistry(text);
  const match = text.length > TEXT_LENGTH_MAX ? null : REFERENCE.exec(`${registry}/${remainder}`);
  if (match === null) throw invalidReference(remainder);
  const [, path = "", tag, digest] = match;
  if (registry.length + 1 + path.length > NAME_LENGTH_MAX) {
    throw new EngineError("invalid", `repository name must not be more than ${NAME_LENGTH_MAX} characters`);
  }
  if (digest !== undefined && !isDigest(digest)) throw unsupportedDigest(digest);
  return {
    registry,
    repository: path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** `latest` for a reference that has neither tag nor digest; others as they are. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

/** The name in full: `docker.io/library/alpine:3@sha256:…`. */
export function formatReference(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

/** The name as people write it: `alpine:3`, `user/app`, `ghcr.io/user/app`. */
export function familiarReference(reference: Reference): string {
  return familiarRepositoryName(reference) + suffix(reference);
}

/** The name without tag and digest: `docker.io/library/alpine`. */
export function repositoryName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** `alpine` for `docker.io/library/alpine`. */
export function familiarRepositoryName(reference: Reference): string {
  if (reference.registry !== DEFAULT_REGISTRY) return repositoryName(reference);
  const official = /^library\/([^/]+)$/.exec(reference.repository);
  return official?.[1] ?? reference.repository;
}

const DEFAULT_REGISTRY = "docker.io";
const LEGACY_DEFAULT_REGISTRY = "index.docker.io";
/** Characters of registry and repository together. */
const NAME_LENGTH_MAX = 255;
/** Characters of the whole text: more can't be valid, and isn't worth matching. */
const TEXT_LENGTH_MAX = 1024;

const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const REGISTRY = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const WHOLE_TAG = new RegExp(`^${TAG}$`);

/** Whether TEXT can be a tag. */
export function isTag(text: string): boolean {
  return WHOLE_TAG.test(text);
}

const REFERENCE = new RegExp(`^${REGISTRY}/(${COMPONENT}(?:/${COMPONENT})*)(?::(${TAG}))?(?:@(${DIGEST}))?$`);

/** The first component is a registry if it holds a dot, a colon or an upper-case letter, or is `localhost`. */
function splitRegistry(text: string): readonly [registry: string, remainder: string] {
  const slash = text.indexOf("/");
  const first = slash === -1 ? "" : text.slice(0, slash);
  const isRegistry = /[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first;
  const registry = isRegistry && first !== LEGACY_DEFAULT_REGISTRY ? first : DEFAULT_REGISTRY;
  const remainder = isRegistry ? text.slice(slash + 1) : text;
  return [registry, registry === DEFAULT_REGISTRY && !remainder.includes("/") ? `library/${remainder}` : remainder];
}

function invalidReference(remainder: string): EngineError {
  const name = remainder.split(":", 1)[0] ?? "";
  if (name.toLowerCase() === name) return new EngineError("invalid", "invalid reference format");
  return new EngineError("invalid", `invalid reference format: repository name (${name}) must be lowercase`);
}

function unsupportedDigest(digest: string): EngineError {
  const isSha256 = digest.startsWith("sha256:");
  return new EngineError(
    "invalid",
    `invalid reference format: ${isSha256 ? "invalid checksum digest" : "unsupported digest algorithm"}`,
  );
}

function suffix(reference: Reference): string {
  return (
    (reference.tag === undefined ? "" : `:${reference.tag}`) +
    (reference.digest === undefined ? "" : `@${reference.digest}`)
  );
}
