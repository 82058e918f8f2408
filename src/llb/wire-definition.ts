import { type Digest, digestOf } from "../base/index.js";
import type { SourceRange } from "./definition.js";
import { boolean, bytes, type Field, integer, map, mapValue, message, nested, repeated, text } from "./protobuf.js";
import { capsOf, resultBytes, type WireGraph, type WireOp } from "./wire.js";
import { wireSource } from "./wire-source.js";

/** A text that the locations of vertices speak of. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
}

/**
 * GRAPH as the bytes of BuildKit's `pb.Definition`, which its Solve request takes: the ops, one that names the result, what is
 * known of each, and SOURCES with the places of the ops in them. The same graph and texts give the same bytes. An empty file
 * system has none.
 */
export function definitionBytes({ ops, root }: WireGraph, sources: readonly SourceText[]): Uint8Array {
  if (root === undefined) return message();
  const result = resultBytes(root);
  const metadata = new Map(ops.map((op): [Digest, Uint8Array] => [op.digest, metadataBytes(op)]));
  metadata.set(digestOf(result), message(capsField(resultCaps(ops))));
  return message(
    repeated(1, [...ops.map((op) => op.bytes), result], (op) => op),
    map(2, metadata, mapValue),
    nested(3, sourcesBytes(ops, sources)),
  );
}

const LANGUAGE = "Dockerfile";
/** Where clients of BuildKit look for the line that shows a vertex. */
const NAME = "llb.customname";
/** Where they look for the instruction that it comes from. */
const COMMAND = "com.docker.dockerfile.v1.command";
/** The directory that a server can't know of; see `wireSource`. */
const LAYOUT_DIRECTORY = "ashlar.layout.directory";

function metadataBytes({ node, metadata }: WireOp): Uint8Array {
  const directory = node.op.kind === "source" ? wireSource(node.op).directory : undefined;
  const description = new Map([
    ...(metadata ? [[NAME, metadata.name] as const] : []),
    ...(metadata?.command === undefined ? [] : [[COMMAND, metadata.command] as const]),
    ...(directory === undefined ? [] : [[LAYOUT_DIRECTORY, directory] as const]),
  ]);
  return message(boolean(1, metadata?.ignoreCache), map(2, description, mapValue), capsField(capsOf(node)));
}

/** What a server must know to read the definition itself. */
function resultCaps(ops: readonly WireOp[]): readonly string[] {
  return [
    "constraints",
    "platform",
    ...(ops.some(({ metadata }) => metadata?.ignoreCache) ? ["meta.ignorecache"] : []),
    ...(ops.some(({ metadata }) => metadata !== undefined) ? ["meta.description"] : []),
  ];
}

function capsField(caps: readonly string[]): Field {
  return map(5, new Map(caps.map((cap) => [cap, true])), (known) => boolean(2, known));
}

function sourcesBytes(ops: readonly WireOp[], sources: readonly SourceText[]): Uint8Array {
  const locations = new Map<Digest, Uint8Array>();
  for (const { digest, metadata } of ops) {
    const at = sources.findIndex(({ file }) => file === metadata?.location?.file);
    if (metadata?.location && at >= 0) locations.set(digest, locationsBytes(at, metadata.location));
  }
  return message(
    map(1, locations, mapValue),
    repeated(2, sources, (source) =>
      message(text(1, source.file), bytes(2, Buffer.from(source.text)), text(4, LANGUAGE)),
    ),
  );
}

function locationsBytes(sourceIndex: number, { startLine, endLine }: SourceRange): Uint8Array {
  const line = (number: number) => message(integer(1, number));
  const range = message(nested(1, line(startLine)), nested(2, line(endLine)));
  return message(nested(1, message(integer(1, sourceIndex), nested(2, range))));
}
