import { type Clock, digestOf, errorCode, messageOf } from "../base/index.js";
import type { Diagnostic, FrontendBridge } from "../frontend/index.js";
import type { Platform } from "../oci/index.js";
import type { ProgressSink, VertexInfo } from "../progress/index.js";
import type { DataPlane } from "../snapshot/index.js";
import type { Catalog } from "./catalog.js";

/** What the frontend may ask is bounded. */
const FILE_MAX_BYTES = 16 << 20;

export interface BridgeOptions {
  readonly catalog: Catalog;
  readonly plane: DataPlane;
  readonly directories: ReadonlyMap<string, string>;
  readonly sourceTime: NonNullable<FrontendBridge["sourceTime"]>;
  readonly progress: ProgressSink;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onWarning: (diagnostic: Diagnostic) => void;
}

/** The frontend's doors: image configs, small files of contexts, times of what comes from the network, warnings. */
export function createBridge({
  catalog,
  plane,
  directories,
  sourceTime,
  progress,
  clock,
  signal,
  onWarning,
}: BridgeOptions): FrontendBridge {
  return {
    async resolveImageConfig(identifier, platform: Platform) {
      const vertex = internalVertex(`load metadata for ${identifier.replace(/^docker-image:\/\//, "")}`);
      return shownAs(vertex, { progress, clock }, () => catalog.resolve(identifier, platform, { signal }));
    },
    async readFile(context, path) {
      const directory = directories.get(context);
      if (directory === undefined) return undefined;
      const source = { kind: "context", directory, excludes: [], scanId: directory } as const;
      return plane.read("readSourceFile", { source, path, maxBytes: FILE_MAX_BYTES }, { signal, affinity: directory });
    },
    sourceTime,
    warn: onWarning,
  };
}

/** The step that shows that the Dockerfile is read. What the checks find is told as its own. */
export function definitionVertex(): VertexInfo {
  return internalVertex("load build definition");
}

/** A vertex that is no step of the Dockerfile. */
export function internalVertex(what: string): VertexInfo {
  const name = `[internal] ${what}`;
  return { digest: digestOf(name), name, inputs: [] };
}

/** Runs WORK and shows it as a step. */
export async function shownAs<T>(
  vertex: VertexInfo,
  to: { readonly progress: ProgressSink; readonly clock: Clock },
  work: () => Promise<T>,
): Promise<T> {
  const { progress, clock } = to;
  progress.emit({ type: "vertex-started", vertex, at: clock.now() });
  try {
    const value = await work();
    progress.emit({ type: "vertex-completed", vertex: vertex.digest, at: clock.now(), outcome: { kind: "done" } });
    return value;
  } catch (error) {
    const outcome =
      errorCode(error) === "canceled"
        ? ({ kind: "canceled" } as const)
        : ({ kind: "error", message: messageOf(error) } as const);
    progress.emit({ type: "vertex-completed", vertex: vertex.digest, at: clock.now(), outcome });
    throw error;
  }
}
