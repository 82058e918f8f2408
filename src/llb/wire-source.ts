import { digestOf, hexOf } from "../base/index.js";
import type { SourceOp } from "./op.js";
import { map, mapValue, message, text } from "./protobuf.js";

/** A source as BuildKit has it. */
export interface WireSource {
  readonly identifier: string;
  readonly attrs: Readonly<Record<string, string>>;
  /** Of a layout on this machine's disk: its directory, which no server could open. */
  readonly directory?: string;
}

/**
 * OP with the identifier and the attributes that BuildKit takes. A local source gets the hint by which a server knows the copy
 * it already has. A layout is named by a store's name in place of its directory: whoever sends the graph serves the directory
 * under that name.
 */
export function wireSource({ identifier, attrs }: SourceOp): WireSource {
  if (identifier.startsWith(LOCAL)) {
    const name = identifier.slice(LOCAL.length);
    const hint = name === MAIN_CONTEXT ? name : `context:${name}-`;
    return { identifier, attrs: { ...attrs, "local.sharedkeyhint": hint } };
  }
  const [, directory = "", reference = ""] = LAYOUT_IDENTIFIER.exec(identifier) ?? [];
  if (directory === "") return { identifier, attrs };
  const store = `layout-${hexOf(digestOf(directory)).slice(0, STORE_DIGITS)}`;
  return {
    identifier: `${LAYOUT}docker.io/library/${store}${reference}`,
    attrs: { ...attrs, "oci.store": store },
    directory,
  };
}

/** A source as `pb.SourceOp`. */
export function sourceBytes(op: SourceOp): Uint8Array {
  const { identifier, attrs } = wireSource(op);
  return message(text(1, identifier), map(2, new Map(Object.entries(attrs)), mapValue));
}

/** What a server must know to run it. */
export function sourceCaps(op: SourceOp): readonly string[] {
  const { identifier, attrs } = wireSource(op);
  const scheme = identifier.slice(0, identifier.indexOf("://"));
  const caps = SCHEME_CAPS[scheme] ?? [];
  return [...caps, ...Object.keys(attrs).flatMap((name) => ATTRIBUTE_CAPS[name] ?? [])];
}

/** Whether what a source gives depends on the platform. */
export function isPlatformSpecific({ identifier }: SourceOp): boolean {
  return identifier.startsWith("docker-image://") || identifier.startsWith(LAYOUT);
}

const LOCAL = "local://";
const LAYOUT = "oci-layout://";
const MAIN_CONTEXT = "context";
/** `oci-layout://DIRECTORY[:tag][@digest]`. */
const LAYOUT_IDENTIFIER = /^oci-layout:\/\/(\/.*?)((?::[\w][\w.-]*)?(?:@sha256:[0-9a-f]{64})?)$/s;
/** Hex digits of a store's name. */
const STORE_DIGITS = 12;

const SCHEME_CAPS: Readonly<Record<string, readonly string[]>> = {
  "docker-image": ["source.image"],
  local: ["source.local"],
  git: ["source.git"],
  http: ["source.http"],
  https: ["source.http"],
  "oci-layout": ["source.ocilayout"],
};
const ATTRIBUTE_CAPS: Readonly<Record<string, string>> = {
  "local.includepattern": "source.local.includepatterns",
  "local.followpaths": "source.local.followpaths",
  "local.excludepatterns": "source.local.excludepatterns",
  "local.sharedkeyhint": "source.local.sharedkeyhint",
  "git.keepgitdir": "source.git.keepgitdir",
  "git.fullurl": "source.git.fullurl",
  "git.mountsshsock": "source.git.mountsshsock",
  "git.knownsshhosts": "source.git.knownsshhosts",
  "git.checksum": "source.git.checksum",
  "git.skipsubmodules": "source.git.skipsubmodules",
  "git.mtime": "source.git.mtime",
  "git.fetchbycommit": "source.git.fetchbycommit",
  "http.checksum": "source.http.checksum",
  "http.perm": "source.http.perm",
  // The misspelling is the name.
  "http.uid": "soruce.http.uidgid",
  "http.gid": "soruce.http.uidgid",
  "http.authheadersecret": "source.http.auth",
};
