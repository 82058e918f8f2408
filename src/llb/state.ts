import type { Digest } from "../base/index.js";
import type { Platform } from "../oci/index.js";
import { type Definition, digestOfNode, type OpMetadata } from "./definition.js";
import type {
  Chown,
  CopyAction,
  Edge,
  ExecMount,
  ExecOp,
  FileAction,
  MkdirAction,
  MkfileAction,
  Op,
  OpNode,
  SourceOp,
  UserName,
} from "./op.js";

/**
 * A file system to be: what a vertex will give, or nothing (`vertex` undefined). A value: what is made from a state leaves it
 * as it is. Vertices are put together and hashed only by `definitionOf`.
 */
export interface State {
  readonly vertex: Vertex | undefined;
}

/** What every vertex is told besides its op. */
export interface VertexOptions {
  readonly metadata: OpMetadata;
  /** Given for ops whose result depends on it (images, exec); absent otherwise, so that platforms share the vertex. */
  readonly platform?: Platform | undefined;
}

/** A mount of an exec besides its root: what `from` holds (`scratch` for none); nothing of it is kept. */
export interface MountSpec {
  readonly from: State;
  readonly mount: Omit<ExecMount, "input" | "output">;
}

export type ExecSpec = Omit<ExecOp, "kind" | "mounts"> & { readonly mounts: readonly MountSpec[] };

/** An owner by number or by a name that the file system being changed knows. */
export interface Owner {
  readonly user?: number | string;
  readonly group?: number | string;
}

/** One action on a file system, for OWNER where one is given; a copy reads `from` another. */
export interface FileStep {
  readonly from?: State | undefined;
  readonly owner?: Owner | undefined;
  readonly action: Omit<CopyAction, "owner"> | Omit<MkfileAction, "owner"> | Omit<MkdirAction, "owner">;
}

/** The empty file system. */
export const scratch: State = { vertex: undefined };

/** What a source gives. OP is asked for only by `definitionOf`, so that it may depend on what is built from the state. */
export function sourceState(op: () => SourceOp, options: VertexOptions): State {
  return stateOf([], op, options);
}

/** ROOT after a process ran in it. Mounts are ordered by destination, secrets and ssh sockets last. */
export function execState(root: State, spec: ExecSpec, options: VertexOptions): State {
  const { meta, network, security, secretEnv, devices, mounts } = spec;
  const ordered = inMountOrder(mounts);
  const assemble: Assemble = (indices) => {
    const [input = -1, ...others] = indices;
    const rootMount: ExecMount = { type: "bind", input, dest: "/", output: 0, readonly: false };
    const further = ordered.map(({ mount }, at): ExecMount => ({ ...mount, input: others[at] ?? -1, output: -1 }));
    return { kind: "exec", meta, network, security, secretEnv, devices, mounts: [rootMount, ...further] };
  };
  return stateOf([root, ...ordered.map((mount) => mount.from)], assemble, options);
}

function inMountOrder(mounts: readonly MountSpec[]): readonly MountSpec[] {
  if (mounts.length <= 1) return mounts;
  const place = ({ mount: { type } }: MountSpec) => (type === "secret" ? 1 : type === "ssh" ? 2 : 0);
  return mounts.toSorted((a, b) => {
    const order = place(a) - place(b);
    if (order !== 0 || place(a) > 0) return order;
    return a.mount.dest < b.mount.dest ? -1 : a.mount.dest > b.mount.dest ? 1 : 0;
  });
}

/** BASE after STEPS, at least one. */
export function fileState(base: State, steps: readonly FileStep[], options: VertexOptions): State {
  const assemble: Assemble = (indices, inputCount) => {
    const actions = steps.map(
      (step, at): FileAction => ({
        input: at === 0 ? (indices[0] ?? -1) : inputCount + at - 1,
        secondaryInput: indices[at + 1] ?? -1,
        output: at === steps.length - 1 ? 0 : -1,
        action: withOwner(step, indices[0] ?? -1),
      }),
    );
    return { kind: "file", actions };
  };
  return stateOf([base, ...steps.map((step) => step.from ?? scratch)], assemble, options);
}

/** STATES laid over each other, later ones on top; empty ones are left out. */
export function mergeStates(states: readonly State[], options: VertexOptions): State {
  const filled = states.filter((state) => state.vertex !== undefined);
  const [first] = filled;
  if (first === undefined) return scratch;
  if (filled.length === 1) return first;
  const { platform, metadata } = options;
  return { vertex: { takes: filled, assemble: () => ({ kind: "merge" }), platform, metadata, repeatsInputs: true } };
}

/**
 * STATE as a definition: every vertex it needs, by digest. Vertices that come to the same digest are one; of their metadata
 * the first counts, but one that ignores the cache makes all do so.
 */
export function definitionOf(state: State): Definition {
  const nodes = new Map<Digest, OpNode>();
  const metadata = new Map<Digest, OpMetadata>();
  const digests = new Map<Vertex, Digest>();
  const edgeOf = ({ vertex }: State): Edge | undefined => {
    const digest = vertex && digests.get(vertex);
    return digest && { digest, index: 0 };
  };
  for (const vertex of inputsFirst(state)) {
    const node = nodeOf(vertex, edgeOf);
    const digest = digestOfNode(node);
    digests.set(vertex, digest);
    nodes.set(digest, nodes.get(digest) ?? node);
    const known = metadata.get(digest) ?? vertex.metadata;
    metadata.set(digest, vertex.metadata.ignoreCache ? { ...known, ignoreCache: true } : known);
  }
  return { nodes, root: edgeOf(state), metadata };
}

/** Makes the op, given for each state taken the index of the op's input (-1: empty) and the number of inputs. */
type Assemble = (indices: readonly number[], inputCount: number) => Op;

interface Vertex {
  /** Where the inputs come from; empty states and the same state twice may be among them. */
  readonly takes: readonly State[];
  readonly assemble: Assemble;
  readonly platform: Platform | undefined;
  readonly metadata: OpMetadata;
  /** Whether a state that is taken twice is two inputs, and not one. */
  readonly repeatsInputs?: boolean;
}

function stateOf(takes: readonly State[], assemble: Assemble, options: VertexOptions): State {
  return { vertex: { takes, assemble, platform: options.platform, metadata: options.metadata } };
}

function nodeOf(vertex: Vertex, edgeOf: (state: State) => Edge | undefined): OpNode {
  const inputs: Edge[] = [];
  const positions = new Map<Digest, number>();
  const indices = vertex.takes.map((state) => {
    const edge = edgeOf(state);
    if (edge === undefined) return -1;
    const known = vertex.repeatsInputs ? undefined : positions.get(edge.digest);
    if (known !== undefined) return known;
    positions.set(edge.digest, inputs.length);
    return inputs.push(edge) - 1;
  });
  const op = vertex.assemble(indices, inputs.length);
  return vertex.platform === undefined ? { op, inputs } : { op, inputs, platform: vertex.platform };
}

/** The vertices below STATE, each behind its inputs. Walks with its own stack: a stage may be a hundred thousand steps long. */
function inputsFirst(state: State): Vertex[] {
  const order: Vertex[] = [];
  if (state.vertex === undefined) return order;
  const seen = new Set<Vertex>([state.vertex]);
  const stack = [{ vertex: state.vertex, next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const taken = top.vertex.takes[top.next++];
    if (taken === undefined) {
      order.push(top.vertex);
      stack.pop();
    } else if (taken.vertex !== undefined && !seen.has(taken.vertex)) {
      seen.add(taken.vertex);
      stack.push({ vertex: taken.vertex, next: 0 });
    }
  }
  return order;
}

function withOwner({ owner, action }: FileStep, input: number): FileAction["action"] {
  return owner === undefined ? action : { ...action, owner: chownOf(owner, input) };
}

function chownOf({ user, group }: Owner, input: number): Chown {
  return {
    ...(user === undefined ? {} : { user: userName(user, input) }),
    ...(group === undefined ? {} : { group: userName(group, input) }),
  };
}

function userName(user: number | string, input: number): UserName {
  return typeof user === "number" ? { kind: "id", id: user } : { kind: "name", name: user, input };
}
