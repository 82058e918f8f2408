import { isUtf8 } from "node:buffer";
import { type Digest, unreachable } from "../base/index.js";
import type { Edge, FileAction, Op, WireGraph, WireOp } from "../llb/index.js";

/** The graph that was solved, in BuildKit's terms. */
export type RecordedGraph = WireGraph;

/** A graph as provenance tells it. */
export interface BuildSteps {
  readonly definition: readonly object[];
  /** `step3`, by the digest of the op. */
  readonly ids: ReadonlyMap<Digest, string>;
  /** Where each step stands in its source, by its name. */
  readonly locations: Readonly<Record<string, object>>;
}

/** Masks the credentials in an address; other texts stay. */
export type Redact = (text: string) => string;

/** The steps of GRAPH, each behind those it takes, and at the end the result. */
export function buildStepsOf({ ops, root }: RecordedGraph, redact: Redact): BuildSteps {
  const ids = new Map(ops.map(({ digest }, i) => [digest, `step${i}`] as const));
  const named = (inputs: readonly Edge[]) => inputs.map(({ digest, index }) => `${ids.get(digest)}:${index}`);
  const steps = ops.map((each, i) => ({ id: `step${i}`, op: opOf(each, redact), inputs: named(each.inputs) }));
  const result = root === undefined ? [] : [{ id: `step${ops.length}`, op: { Op: null }, inputs: named([root]) }];
  const locations = ops.flatMap(({ metadata }, i) => {
    const at = metadata?.location;
    if (at === undefined) return [];
    const range = { start: { line: at.startLine }, end: { line: at.endLine } };
    return [[`step${i}`, { locations: [{ ranges: [range] }] }] as const];
  });
  return { definition: [...steps, ...result], ids, locations: Object.fromEntries(locations) };
}

function opOf({ node }: WireOp, redact: Redact): object {
  const { op, platform } = node;
  const { kind, ...rest } = readable(op, redact);
  return {
    Op: { [kind]: rest },
    ...(platform === undefined
      ? {}
      : {
          platform: {
            Architecture: platform.architecture,
            OS: platform.os,
            ...(platform.variant === undefined ? {} : { Variant: platform.variant }),
          },
        }),
    constraints: {},
  };
}

/** OP without what may hold a password, and with bytes as text. */
function readable(op: Op, redact: Redact): { readonly kind: string } & Readonly<Record<string, unknown>> {
  switch (op.kind) {
    case "exec": {
      // The address of a proxy is not part of what the step is.
      const { proxyEnv: _, args, env, ...meta } = op.meta;
      return { ...op, meta: { ...meta, args: args.map(redact), env: env.map(redact) } };
    }
    case "source": {
      const { identifier, attrs } = op;
      const redacted = Object.entries(attrs).map(([key, value]) => [key, redact(value)] as const);
      return { ...op, identifier: redact(identifier), attrs: Object.fromEntries(redacted) };
    }
    case "file":
      return { kind: "file", actions: op.actions.map((action) => readableAction(action, redact)) };
    case "merge":
    case "diff":
      return { ...op };
    default:
      return unreachable(op);
  }
}

/** What is no text stays. */
function masked(data: Buffer, redact: Redact): Buffer {
  return isUtf8(data) ? Buffer.from(redact(data.toString())) : data;
}

function readableAction(entry: FileAction, redact: Redact): object {
  const { action } = entry;
  if (action.kind !== "mkfile") return entry;
  return { ...entry, action: { ...action, data: masked(Buffer.from(action.data), redact).toString("base64") } };
}
