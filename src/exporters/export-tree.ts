import { createReadStream } from "node:fs";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { EngineError, errorCode, forAll, makeDirectories, messageOf } from "../base/index.js";
import { formatPlatform } from "../oci/index.js";
import type { DataPlane, LayerStore, StateDirs } from "../snapshot/index.js";
import { attestationFiles } from "./attestation-files.js";
import type { TreeOutput } from "./attributes.js";
import { type Destination, writeFileTo, writeTo } from "./destination.js";
import { effectiveEpoch } from "./epoch.js";
import type { ExportedImage } from "./image.js";
import { type ExportOptions, reported } from "./progress.js";

/** What files are exported with. */
export interface TreeExporter {
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly dirs: StateDirs;
  /** Who owns what is written to a directory: whoever runs the build. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** Files to write: those of one platform, or of several in directories like `linux_arm64`. */
export interface TreeExport extends ExportOptions {
  readonly images: readonly ExportedImage[];
  readonly destination: Destination;
  readonly output: TreeOutput;
  /** What the build fixes, in seconds: everything gets this time. */
  readonly sourceDateEpoch?: number | undefined;
  /** Whether the files of an only platform go to a directory of its own, too. */
  readonly multiPlatform?: boolean | undefined;
}

/**
 * Copies the files to a directory, which keeps what is not replaced unless the output says otherwise. What was copied before a failure
 * stays. Errors: `invalid` without a directory to copy to, `denied`, `no-space`.
 */
export async function exportLocal(exporter: TreeExporter, request: TreeExport): Promise<void> {
  const { destination, output } = request;
  if (typeof destination !== "string") throw new EngineError("invalid", "dest cannot be stdout for local exporter");
  if (destination === "") throw new EngineError("invalid", "dest is required for local exporter");
  const root = path.resolve(destination);
  const parts = partsOf(request, output.platformSplit);
  await ensureTrees(exporter, request);
  const isMerged = parts.length > 1 && parts.every(({ directory }) => directory === undefined);
  if (isMerged) await checkDisjoint(exporter, parts, request);
  await named(root, async () => {
    makeDirectories(root);
    if (isMerged) return copyMerged(exporter, { parts, root }, request);
    if (output.existing === "delete" && parts.some(({ directory }) => directory !== undefined))
      await keepOnly(root, new Set(parts.map(({ directory }) => directory)));
    await forAll(parts, (part, signal) => copyPart(exporter, { ...part, root }, { ...request, signal }), request);
  });
}

/** Writes the files as a tar archive, which is there as a whole or not at all, and gives its size. Errors like `exportLocal`. */
export async function exportTar(exporter: TreeExporter, request: TreeExport): Promise<number> {
  const { plane, dirs } = exporter;
  const { destination, signal } = request;
  const { attestationPrefix, sourceDateEpoch, platformSplit } = request.output;
  const epochSeconds = effectiveEpoch(sourceDateEpoch, request.sourceDateEpoch);
  await ensureTrees(exporter, request);
  const parts = await Promise.all(
    // In an archive each platform has its directory, whatever is asked for: BuildKit knows no other.
    partsOf(request, request.images.length > 1 ? true : platformSplit).map(async ({ image, directory }) => {
      const naming = { prefix: attestationPrefix, ...(platformSplit === false ? suffixOf(request, image) : {}) };
      const files = await attestationFiles(plane, image, naming, { signal });
      return {
        tree: image.tree,
        ...(directory === undefined ? {} : { directory: { name: directory, mtimeSeconds: 0 } }),
        ...(files.length === 0 ? {} : { files: files.map((file) => ({ ...file, mtimeSeconds: 0 })) }),
      };
    }),
  );
  return reported("sending tarball", request, async (report) => {
    const onProgress = ({ current }: { readonly current: number }) => report(current);
    const archive = (output: string) => plane.run("tarTree", { parts, output, epochSeconds }, { signal, onProgress });
    if (typeof destination === "string") {
      let sizeBytes = 0;
      await writeFileTo(destination, async (file) => {
        ({ sizeBytes } = await archive(file));
      });
      return sizeBytes;
    }
    // Whoever reads a stream gets nothing of an archive that fails.
    makeDirectories(dirs.tmp);
    const directory = await mkdtemp(path.join(dirs.tmp, "tar-"));
    try {
      const file = path.join(directory, "archive");
      await archive(file);
      return await writeTo(destination, createReadStream(file, { highWaterMark: READ_BYTES }), { signal });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
}

/** Bytes read at once. */
const READ_BYTES = 1 << 20;
const ATTESTATION_MODE = 0o600;

interface Part {
  readonly image: ExportedImage;
  /** The directory its files go to, if not to the root. */
  readonly directory: string | undefined;
}

function partsOf({ images, multiPlatform }: TreeExport, wanted: boolean | undefined): readonly Part[] {
  const split = wanted ?? (multiPlatform || images.length > 1);
  return images.map((image) => ({ image, directory: split ? directoryOf(image) : undefined }));
}

function directoryOf({ platform }: ExportedImage): string {
  return formatPlatform(platform).replaceAll("/", "_");
}

/** What tells attestations of one platform from those of others beside them. */
function suffixOf({ images, multiPlatform }: TreeExport, image: ExportedImage): { readonly suffix?: string } {
  return multiPlatform || images.length > 1 ? { suffix: directoryOf(image) } : {};
}

/** Refuses platforms whose files would replace one another's. Directories are merged. */
async function checkDisjoint({ plane }: TreeExporter, parts: readonly Part[], { signal }: TreeExport): Promise<void> {
  const seen = new Map<string, string>();
  for (const { image } of parts) {
    const platform = formatPlatform(image.platform);
    const { paths } = await plane.run("surveyTree", { tree: image.tree, paths: true }, { signal });
    for (const file of paths) {
      const before = seen.get(file);
      if (before !== undefined)
        throw new EngineError(
          "invalid",
          `cannot overwrite ${file} from ${before} with ${platform} when split option is disabled`,
        );
      seen.set(file, platform);
    }
  }
}

/** All platforms into one directory, one after another: they share directories. */
async function copyMerged(
  exporter: TreeExporter,
  { parts, root }: { readonly parts: readonly Part[]; readonly root: string },
  request: TreeExport,
): Promise<void> {
  if (request.output.existing === "delete") await keepOnly(root, new Set());
  const merging = { ...request, output: { ...request.output, existing: "keep" } as const };
  for (const part of parts) await copyPart(exporter, { ...part, root }, merging);
}

async function copyPart(
  { plane, owner }: TreeExporter,
  { image, directory, root }: Part & { readonly root: string },
  request: TreeExport,
): Promise<void> {
  const { output, signal } = request;
  const epochSeconds = effectiveEpoch(output.sourceDateEpoch, request.sourceDateEpoch);
  const id = directory === undefined ? "copying files" : `copying files ${formatPlatform(image.platform)}`;
  const target = directory === undefined ? root : path.join(root, directory);
  await reported(id, request, async (report) => {
    const onProgress = ({ current }: { readonly current: number }) => report(current);
    const args = { tree: image.tree, target, owner, epochSeconds, existing: output.existing };
    await plane.run("exportTree", args, { signal, onProgress });
    const naming = { prefix: output.attestationPrefix, ...(directory === undefined ? suffixOf(request, image) : {}) };
    for (const { name, content } of await attestationFiles(plane, image, naming, { signal })) {
      const file = path.join(target, name);
      await rm(file, { force: true }); // it may be a link
      await writeFile(file, content, { mode: ATTESTATION_MODE, flag: "wx" });
      if (epochSeconds !== undefined) await utimes(file, epochSeconds, epochSeconds);
    }
    if (directory !== undefined && epochSeconds !== undefined) await utimes(target, epochSeconds, epochSeconds);
  });
}

async function keepOnly(directory: string, names: ReadonlySet<string | undefined>): Promise<void> {
  for (const name of await readdir(directory))
    if (!names.has(name)) await rm(path.join(directory, name), { recursive: true, force: true });
}

/** Fetches what of the files is not here yet. */
async function ensureTrees({ layers }: TreeExporter, { images, signal, onProgress }: TreeExport): Promise<void> {
  for (const { tree } of images) {
    await layers.ensure(tree, {
      signal,
      onPull: (_layer, { digest }, step, progress) => {
        const id = step === "download" ? digest : `extracting ${digest}`;
        const amount = progress && { current: progress.current, ...(progress.total ? { total: progress.total } : {}) };
        onProgress?.({ id, ...amount, done: step === "done" });
      },
    });
  }
}

async function named(directory: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (cause instanceof EngineError && cause.code !== "internal") throw cause;
    throw new EngineError(errorCode(cause), `copying files to ${directory}: ${messageOf(cause)}`, { cause });
  }
}
