import { type Clock, digestOf, errorCode, messageOf } from "../base/index.js";
import type { Diagnostic, FrontendBridge, ResolvedImage } from "../frontend/index.js";
import { formatPlatform, type Platform } from "../oci/index.js";
import type { ProgressSink, VertexInfo } from "../progress/index.js";
import type { DataPlane } from "../snapshot/index.js";
import type { Catalog } from "./catalog.js";

/** What the frontend may ask is bounded. */
const FILE_MAX_BYTES = 16 << 20;

export interface BridgeOptions {
  readonly catalog: Catalog;
  readonly plane: DataPlane;
  readonly directories: ReadonlyMap<string, string>;
  /** Whether several platforms are built for, which then go by their names. */
  readonly showPlatform: boolean;
  readonly sourceTime: FrontendBridge["sourceTime"];
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
  showPlatform,
  sourceTime,
  progress,
  clock,
  signal,
  onWarning,
}: BridgeOptions): FrontendBridge {
  const images = new Map<string, Promise<ResolvedImage>>();
  const resolve = (identifier: string, platform: Platform): Promise<ResolvedImage> => {
    const what = `load metadata for ${identifier.replace(/^docker-image:\/\//, "")}`;
    const vertex = internalVertex(what, showPlatform ? platform : undefined);
    return shownAs(vertex, { progress, clock }, () => catalog.resolve(identifier, platform, { signal }));
  };
  return {
    resolveImageConfig(identifier, platform) {
      const question = `${identifier} ${formatPlatform(platform)}`;
      const asked = images.get(question) ?? resolve(identifier, platform);
      images.set(question, asked);
      return asked;
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
export function internalVertex(what: string, platform?: Platform): VertexInfo {
  const name = `[${platform === undefined ? "" : `${formatPlatform(platform)} `}internal] ${what}`;
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
