import { type TarHeader, whiteoutName } from "../../tar/index.js";
import type { LayerId } from "../tree.js";
import { type BlobTarget, type WrittenBlob, writeBlob } from "./blob-file.js";
import type { BytePath } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { TarBlocks } from "./layer-blocks.js";
import { headerOf, wholeSeconds } from "./layer-header.js";
import { entriesIn, type FileStat, inodeKey } from "./layer-stat.js";
import { readUnchangedNames } from "./layer-unchanged.js";
import { xattrsOf } from "./layer-xattrs.js";

/** A committed layer to write as a blob. */
export interface ExportLayerArgs extends BlobTarget {
  readonly layer: LayerId;
  /** Times later than this (seconds since the epoch) become this. */
  readonly epochSeconds?: number | undefined;
}

/**
 * Writes a layer as a tar archive in the form containerd gives it (entries in byte order, numeric owners, whole seconds, hard links to
 * the first name, of the attributes only file capabilities), compressed, in one pass and with bounded memory.
 */
export const exportLayer: Job<ExportLayerArgs, WrittenBlob> = (args, context) =>
  writeBlob(layerBlocks(args, context), args, context);

const CAPABILITY = "security.capability";

function* layerBlocks({ layer, epochSeconds }: ExportLayerArgs, context: JobContext): Generator<Buffer> {
  const top = `${layer}/fs`;
  const unchanged = readUnchangedNames(layer);
  const blocks = new TarBlocks();
  const firstNames = new Map<string, BytePath>();
  const waiting = new Map<string, BytePath[]>();
  const limitNs = epochSeconds === undefined ? undefined : wholeSeconds(epochSeconds);

  function* visit(directory: BytePath, prefix: BytePath): Generator<Buffer> {
    context.checkCanceled();
    for (const { name, path, stat } of entriesIn(directory)) {
      const at = prefix + name;
      if (stat.kind === "whiteout") yield* blocks.header({ name: prefix + whiteoutName(name), type: "file", mode: 0 });
      else if (stat.kind === "directory") {
        yield* blocks.header(layerHeader(at, path, stat));
        yield* visit(path, `${at}/`);
      } else if (stat.kind !== "socket") yield* file(at, path, stat);
    }
  }

  function* file(at: BytePath, path: BytePath, stat: FileStat): Generator<Buffer> {
    const header = layerHeader(at, path, stat);
    const key = stat.nlink > 1 ? inodeKey(stat) : undefined;
    const first = key === undefined ? undefined : firstNames.get(key);
    if (first !== undefined) return yield* blocks.header({ ...header, type: "link", size: 0, linkName: first });
    if (key !== undefined && unchanged.has(at)) {
      waiting.set(key, [...(waiting.get(key) ?? []), at]);
      return;
    }
    if (stat.kind === "file") yield* blocks.file(header, path);
    else yield* blocks.header(header);
    if (key === undefined) return;
    firstNames.set(key, at);
    for (const name of waiting.get(key) ?? [])
      yield* blocks.header({ ...header, name, type: "link", size: 0, linkName: at });
  }

  function layerHeader(at: BytePath, path: BytePath, stat: FileStat): TarHeader {
    const header = headerOf(at, path, stat);
    const seconds = stat.mtimeNs - (((stat.mtimeNs % SECOND_NS) + SECOND_NS) % SECOND_NS);
    const mtimeNs = limitNs !== undefined && seconds > limitNs ? limitNs : seconds;
    const capability = stat.kind === "file" ? xattrsOf(path).get(CAPABILITY) : undefined;
    return { ...header, mtimeNs, ...(capability?.length && { xattrs: new Map([[CAPABILITY, capability]]) }) };
  }

  yield* visit(top, "");
  yield* blocks.end();
}

const SECOND_NS = 1_000_000_000n;
