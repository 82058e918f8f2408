import { posix } from "node:path";
import {
  type Definition,
  definitionOf,
  fileState,
  type OpMetadata,
  type State,
  scratch,
  sourceState,
} from "../../llb/index.js";
import type { Platform } from "../../oci/index.js";
import type { SourceContext } from "../frontend.js";
import type { External } from "./bases.js";
import { contextMetadata, DOWNLOADED_CONTEXT, mainContextMetadata } from "./context-source.js";
import { MAIN_CONTEXT } from "./contexts.js";
import { copyAction } from "./plain-copy.js";

/** Paths that are read of a directory of the caller's; only they need to be looked at. */
export interface UsedPaths {
  add(path: string): void;
}

/** The file systems of contexts and images. One directory is one source, however many steps read it. */
export interface SourceStates {
  /** The main context. */
  readonly context: SourceFiles;
  /** What EXTERNAL holds. BASE counts where it is an image. */
  external(external: External, platform: Platform, base?: BaseNaming): SourceFiles;
}

/** How the image that a stage begins with is shown. */
interface BaseNaming {
  readonly name: (reference: string) => string;
  readonly place: Omit<OpMetadata, "name">;
}

export interface SourceFiles {
  readonly state: State;
  readonly used: UsedPaths;
}

/** MAIN is what gives the main context, or the patterns of what to leave out of the caller's directory. */
export function createSourceStates(main: SourceContext | readonly string[]): SourceStates {
  const locals = new Map<string, SourceFiles>();
  const local = (name: string, shown: string, excludes: readonly string[]): SourceFiles => {
    const files = locals.get(name) ?? localFiles(name, shown, excludes);
    locals.set(name, files);
    return files;
  };
  return {
    context: "op" in main ? remoteFiles(main) : local(MAIN_CONTEXT, "[internal] load build context", main),
    external(external, platform, base = COPY_SOURCE) {
      switch (external.kind) {
        case "empty":
          return { state: scratch, used: NOT_TRACKED };
        case "local":
          return local(external.name, `[context ${external.context}] load from client`, external.excludes);
        case "source":
          return {
            state: sourceState(() => external.op, { metadata: contextMetadata(external.context, external.op) }),
            used: NOT_TRACKED,
          };
        case "image":
          return { state: imageState(external, platform, base), used: NOT_TRACKED };
      }
    },
  };
}

/** The graph that makes a context from the network: the same that a build of it begins with. */
export function contextDefinition(context: SourceContext): Definition {
  return definitionOf(remoteFiles(context).state);
}

/** Whether an image has layers: one that has none is an empty file system. */
function isEmptyImage({ config }: Extract<External, { kind: "image" }>): boolean {
  return (config.rootfs?.diff_ids ?? []).length === 0 && (config.history ?? []).every((entry) => entry.empty_layer);
}

const NOT_TRACKED: UsedPaths = { add: () => undefined };
const COPY_SOURCE: BaseNaming = { name: (reference) => `FROM ${reference}`, place: { command: "" } };
const IMAGE_SCHEME = "docker-image://";

function remoteFiles({ op, unpack }: SourceContext): SourceFiles {
  const metadata = mainContextMetadata(op);
  const downloaded = sourceState(() => op, { metadata });
  if (!unpack) return { state: downloaded, used: NOT_TRACKED };
  const place = { src: `/${DOWNLOADED_CONTEXT}`, dest: "/" };
  const action = copyAction({ ...place, attemptUnpack: true, createDestPath: false });
  return { state: fileState(scratch, [{ from: downloaded, action }], { metadata }), used: NOT_TRACKED };
}

function localFiles(name: string, shown: string, excludes: readonly string[]): SourceFiles {
  const paths = new Set<string>();
  const state = sourceState(
    () => ({ kind: "source", identifier: `local://${name}`, attrs: localAttrs(paths, excludes) }),
    {
      metadata: { name: shown },
    },
  );
  return { state, used: { add: (path) => paths.add(posix.join("/", path)) } };
}

function localAttrs(paths: ReadonlySet<string>, excludes: readonly string[]): Record<string, string> {
  const wanted = [...paths].map((path) => path.replace(/^\/+|\/+$/g, "")).sort();
  const isWhole = wanted.length === 0 || wanted.includes("");
  return {
    ...(excludes.length === 0 ? {} : { "local.excludepatterns": JSON.stringify(excludes) }),
    ...(isWhole ? {} : { "local.followpaths": JSON.stringify(wanted) }),
  };
}

function imageState(image: Extract<External, { kind: "image" }>, platform: Platform, base: BaseNaming): State {
  if (isEmptyImage(image)) return scratch;
  const { identifier, context } = image;
  const isImage = identifier.startsWith(IMAGE_SCHEME);
  const reference = isImage ? identifier.slice(IMAGE_SCHEME.length) : identifier;
  const shown =
    context === undefined
      ? base.name(reference)
      : `[context ${context}] ${isImage ? reference : "OCI load from client"}`;
  return sourceState(() => ({ kind: "source", identifier, attrs: {} }), {
    metadata: { name: shown, ...base.place, command: context === undefined ? base.place.command : undefined },
    platform,
  });
}
