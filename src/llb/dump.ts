import { formatPlatform } from "../oci/index.js";
import type { ExecOp, Op } from "./op.js";
import type { WireGraph, WireOp } from "./wire.js";
import { wireSource } from "./wire-source.js";

/**
 * GRAPH for people and their tools: one JSON object a line. The first tells the result (`null` for an empty file system); each
 * other is an op, behind those it takes, under the digest that it has for BuildKit. See docs/dump-llb.md.
 */
export function dumpLines({ ops, root }: WireGraph, platform: string): readonly string[] {
  const head = { version: DUMP_VERSION, platform, result: root ?? null };
  return [head, ...ops.map(dumped)].map((line) => JSON.stringify(line));
}

/** Goes up when a line of an unchanged op would be read in another way. */
const DUMP_VERSION = 1;

function dumped({ digest, inputs, node, metadata }: WireOp): object {
  return {
    digest,
    ...(metadata === undefined ? {} : { name: metadata.name }),
    inputs,
    ...(node.platform === undefined ? {} : { platform: formatPlatform(node.platform) }),
    op: readable(node.op),
    ...(metadata?.ignoreCache ? { ignoreCache: true } : {}),
    ...(metadata?.location === undefined ? {} : { location: metadata.location }),
  };
}

function readable(op: Op): object {
  if (op.kind === "source") {
    const source = wireSource(op);
    return { kind: op.kind, ...source, attrs: sorted(source.attrs) };
  }
  if (op.kind === "exec") return withSortedProxies(op);
  if (op.kind !== "file") return op;
  const actions = op.actions.map(({ action, ...indices }) => {
    if (action.kind !== "mkfile") return { ...indices, action };
    const { data, ...rest } = action;
    return { ...indices, action: { ...rest, ...readableData(data) } };
  });
  return { kind: op.kind, actions };
}

function withSortedProxies(op: ExecOp): ExecOp {
  const { proxyEnv } = op.meta;
  return proxyEnv === undefined ? op : { ...op, meta: { ...op.meta, proxyEnv: sorted(proxyEnv) } };
}

function sorted(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Text where the bytes are text; else base64. */
function readableData(data: Uint8Array): { readonly data: string } | { readonly dataBase64: string } {
  const text = Buffer.from(data).toString("utf8");
  if (Buffer.from(text).equals(data)) return { data: text };
  return { dataBase64: Buffer.from(data).toString("base64") };
}
