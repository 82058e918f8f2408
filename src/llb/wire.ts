import { type Digest, digestOf, EngineError, unreachable } from "../base/index.js";
import type { Platform } from "../oci/index.js";
import type { Definition, OpMetadata } from "./definition.js";
import type { Edge, Op, OpNode } from "./op.js";
import { type Field, integer, message, nested, repeated, text } from "./protobuf.js";
import { execBytes, execCaps } from "./wire-exec.js";
import { fileBytes, fileCaps } from "./wire-file.js";
import { isPlatformSpecific, sourceBytes, sourceCaps } from "./wire-source.js";

/** A vertex as BuildKit has it: bytes of its `pb.Op`, named by their digest. */
export interface WireOp {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** Edges to other wire ops. */
  readonly inputs: readonly Edge[];
  readonly node: OpNode;
  readonly metadata: OpMetadata | undefined;
}

/** A definition in BuildKit's terms. */
export interface WireGraph {
  /** Each op behind those it takes. */
  readonly ops: readonly WireOp[];
  /** Undefined is an empty file system. */
  readonly root: Edge | undefined;
}

/**
 * DEFINITION as the ops that BuildKit's own writer would make of it (solver/pb/ops.proto, deterministic): the same digests,
 * and so the same cache. Vertices that come to the same bytes are one. Throws `invalid` for a definition that names what it
 * does not hold.
 */
export function wireGraph({ nodes, metadata, root }: Definition): WireGraph {
  const ops = new Map<Digest, WireOp>();
  const known = new Map<Digest, Digest>();
  const translated = ({ digest, index }: Edge): Edge => {
    const wire = known.get(digest);
    if (wire === undefined) throw new EngineError("invalid", `the definition names ${digest} before it holds it`);
    return { digest: wire, index };
  };
  for (const [own, node] of nodes) {
    const inputs = node.inputs.map(translated);
    const bytes = opBytes(node, inputs);
    const digest = digestOf(bytes);
    known.set(own, digest);
    ops.set(digest, { digest, bytes, inputs, node, metadata: merged(ops.get(digest)?.metadata, metadata.get(own)) });
  }
  return { ops: [...ops.values()], root: root && translated(root) };
}

/** The bytes of NODE's `pb.Op`, INPUTS naming wire ops. Go's writer, whose digests these are, puts a oneof last. */
export function opBytes(node: OpNode, inputs: readonly Edge[]): Uint8Array {
  const platform = platformOf(node);
  return message(
    inputsField(inputs),
    nested(10, platform && platformBytes(platform)),
    // Constraints on the worker: none.
    nested(11, message()),
    opField(node.op, inputs.length),
  );
}

/** The last op of a definition: it does nothing but name the result. */
export function resultBytes(root: Edge): Uint8Array {
  return message(inputsField([root]));
}

/** What a server must know to run NODE; each once. */
export function capsOf({ op }: OpNode): readonly string[] {
  return [...new Set(opCaps(op))];
}

function merged(first: OpMetadata | undefined, second: OpMetadata | undefined): OpMetadata | undefined {
  return first && second?.ignoreCache ? { ...first, ignoreCache: true } : (first ?? second);
}

function inputsField(inputs: readonly Edge[]): Field {
  return repeated(1, inputs, ({ digest, index }) => message(text(1, digest), integer(2, index)));
}

function opField(op: Op, inputCount: number): Field {
  switch (op.kind) {
    case "exec":
      return nested(2, execBytes(op));
    case "source":
      return nested(3, sourceBytes(op));
    case "file":
      return nested(4, fileBytes(op));
    case "merge":
      return nested(6, mergeBytes(inputCount));
    case "diff":
      return nested(7, message(nested(1, inputBytes(op.lower)), nested(2, inputBytes(op.upper))));
    default:
      return unreachable(op);
  }
}

function mergeBytes(inputCount: number): Uint8Array {
  return repeated(
    1,
    Array.from({ length: inputCount }, (_, input) => input),
    inputBytes,
  );
}

function inputBytes(input: number): Uint8Array {
  return message(integer(1, input));
}

/** Images and processes are of a platform; files are not. */
function platformOf({ op, platform }: OpNode): Platform | undefined {
  return op.kind === "exec" || (op.kind === "source" && isPlatformSpecific(op)) ? platform : undefined;
}

function platformBytes(platform: Platform): Uint8Array {
  return message(
    text(1, platform.architecture),
    text(2, platform.os),
    text(3, platform.variant),
    text(4, platform.osVersion),
  );
}

function opCaps(op: Op): readonly string[] {
  switch (op.kind) {
    case "exec":
      return execCaps(op);
    case "source":
      return sourceCaps(op);
    case "file":
      return fileCaps(op);
    case "merge":
      return ["mergeop"];
    case "diff":
      return ["diffop"];
    default:
      return unreachable(op);
  }
}
