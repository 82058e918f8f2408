import { type Digest, EngineError, redactCredentials } from "../base/index.js";
import type { Definition, Edge, OpNode } from "../llb/index.js";
import type { Vertex, VertexEdge } from "../solver/index.js";

/** A definition as the solver's vertices; KNOWN makes vertices that several definitions hold one. Undefined for an empty file system. */
export function rootOf(definition: Definition, known: Map<Digest, Vertex<OpNode>>): VertexEdge<OpNode> | undefined {
  return definition.root && edgeOf(definition.root, definition, known);
}

function edgeOf(root: Edge, definition: Definition, known: Map<Digest, Vertex<OpNode>>): VertexEdge<OpNode> {
  const pending = [root.digest];
  for (let digest = pending.at(-1); digest; digest = pending.at(-1)) {
    const node = nodeOf(definition, digest);
    const missing = node.inputs.filter((input) => !known.has(input.digest));
    if (missing.length > 0) {
      pending.push(...missing.map((input) => input.digest));
      continue;
    }
    pending.pop();
    if (!known.has(digest)) known.set(digest, vertexOf(digest, node, { definition, known }));
  }
  return { vertex: vertexAt(known, root.digest), index: root.index };
}

interface Graph {
  readonly definition: Definition;
  readonly known: ReadonlyMap<Digest, Vertex<OpNode>>;
}

function vertexOf(digest: Digest, node: OpNode, { definition, known }: Graph): Vertex<OpNode> {
  const metadata = definition.metadata.get(digest);
  return {
    digest,
    name: redactCredentials(metadata?.name ?? node.op.kind),
    inputs: node.inputs.map((input) => ({ vertex: vertexAt(known, input.digest), index: input.index })),
    definition: node,
    ignoreCache: metadata?.ignoreCache ?? false,
  };
}

function nodeOf(definition: Definition, digest: Digest): OpNode {
  const node = definition.nodes.get(digest);
  if (!node) throw new EngineError("invalid", `the definition names ${digest}, which it does not hold`);
  return node;
}

function vertexAt(known: ReadonlyMap<Digest, Vertex<OpNode>>, digest: Digest): Vertex<OpNode> {
  const vertex = known.get(digest);
  if (!vertex) throw new EngineError("invalid", `the definition has a circle at ${digest}`);
  return vertex;
}
