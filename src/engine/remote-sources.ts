import { EngineError } from "../base/index.js";
import { contextDefinition, DOWNLOADED_CONTEXT, type SourceContext } from "../frontend/index.js";
import type { SourceOp } from "../llb/index.js";
import { sourceTime } from "../ops/index.js";
import type { DataPlane, Tree } from "../snapshot/index.js";
import { rootOf } from "./graph.js";
import type { RequestSolver } from "./solver.js";
import { isArchive, SNIFF_BYTES } from "./stream-context.js";

/** What repositories and downloads hold, for whoever has to look at them before there is a graph of the build. */
export interface RemoteSources {
  /** What OP gives, as a context: a download that is an archive is one that holds it. */
  open(op: SourceOp): Promise<RemoteContext>;
  /** When what OP gives was made; undefined where nothing tells. */
  time(op: SourceOp): Promise<Date | undefined>;
}

export interface RemoteContext {
  readonly context: SourceContext;
  /** Whether it is one downloaded file, and no archive. */
  readonly isFile: boolean;
  /** The file at PATH, undefined where there is none; no link leads out. `invalid` for one with more than MAX_BYTES. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
}

export interface RemoteSourcesOptions {
  readonly solver: () => Promise<RequestSolver>;
  readonly plane: DataPlane;
  readonly signal: AbortSignal;
}

export function createRemoteSources(options: RemoteSourcesOptions): RemoteSources {
  const { plane, signal } = options;
  const head = async (tree: Tree): Promise<Buffer> => {
    const file = { source: { kind: "tree", tree }, path: DOWNLOADED_CONTEXT, maxBytes: SNIFF_BYTES } as const;
    return Buffer.from((await plane.run("readSourceFile", { ...file, isHead: true }, { signal })) ?? []);
  };
  const downloaded = async (op: SourceOp) => isArchive(await head(await solve({ op, unpack: false }, options)));
  return {
    async open(op) {
      const isDownload = /^https?:/.test(op.identifier);
      const unpack = isDownload && (await downloaded(op));
      const context = { op, unpack };
      const tree = await solve(context, options);
      return {
        context,
        isFile: isDownload && !unpack,
        read: (path, maxBytes) =>
          plane.run("readSourceFile", { source: { kind: "tree", tree }, path, maxBytes }, { signal }),
      };
    },
    async time(op) {
      const { environment } = await options.solver();
      const seconds = await sourceTime(op, environment, { signal });
      if (seconds !== undefined) return new Date(seconds * 1000);
      if (!/^https?:/.test(op.identifier) || !(await downloaded(named(op)))) return undefined;
      const tree = await solve({ op: named(op), unpack: true }, options);
      const newest = await plane.run("newestFile", { source: { kind: "tree", tree } }, { signal });
      return newest === undefined ? undefined : new Date(newest * 1000);
    },
  };
}

/** OP, its file named as that of a context is. */
function named(op: SourceOp): SourceOp {
  return { ...op, attrs: { ...op.attrs, "http.filename": DOWNLOADED_CONTEXT } };
}

async function solve(context: SourceContext, { solver }: RemoteSourcesOptions): Promise<Tree> {
  const { job } = await solver();
  const root = rootOf(contextDefinition(context), new Map());
  if (root === undefined) throw new EngineError("internal", "a context that nothing makes");
  return (await job.solve(root)).tree;
}
