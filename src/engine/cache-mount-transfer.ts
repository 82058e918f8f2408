import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import {
  type AbortOptions,
  type Digest,
  digestFromHex,
  errorCode,
  messageOf,
  streamRegularFile,
} from "../base/index.js";
import { shownCacheMountId } from "../cache/index.js";
import { MediaType, type Provider } from "../oci/index.js";
import type { MountFile } from "../remote-cache/index.js";
import type { BuildEngine } from "./build.js";
import { exportCacheMount, importCacheMount } from "./cache-mount-tools.js";

/** Cache mounts as files. Disposing of them removes those. */
export interface PackedMounts extends AsyncDisposable {
  readonly mounts: readonly MountFile[];
}

/** Told of mounts that are left out, and why. */
export interface MountTransferOptions extends AbortOptions {
  readonly onWarning: (sentence: string) => void;
}

/** Packs the cache mounts IDS, but for those that aren't there or that a step of another build holds. Errors: `no-space`, `canceled`. */
export async function packMounts(
  engine: BuildEngine,
  ids: readonly string[],
  options: MountTransferOptions,
): Promise<PackedMounts> {
  const directory = mkdtempSync(path.join(engine.dirs.tmp, `${engine.owner}-mounts-`));
  const remove = async () => rmSync(directory, { recursive: true, force: true });
  try {
    const mounts: MountFile[] = [];
    for (const id of new Set(ids)) {
      try {
        mounts.push(await pack(engine, id, path.join(directory, String(mounts.length)), options));
      } catch (error) {
        const code = errorCode(error);
        if (code !== "not-found" && code !== "unavailable") throw error;
        options.onWarning(`a cache mount does not go along: ${messageOf(error)}`);
      }
    }
    return { mounts, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function pack(engine: BuildEngine, id: string, file: string, { signal }: AbortOptions): Promise<MountFile> {
  const abort = signal ? { signal } : {};
  const plain = new PassThrough();
  const packing = pipeline(plain, createGzip(), createWriteStream(file), abort);
  await Promise.all([exportCacheMount(engine, { id, dest: plain, ...abort }), packing]);
  const blob = { mediaType: MediaType.ociLayerGzip, digest: await digestOfFile(file), size: statSync(file).size };
  return { id, blob, provider: { read: (_, asked) => streamRegularFile(file, asked ?? {}) } };
}

async function digestOfFile(file: string): Promise<Digest> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return digestFromHex(hash.digest("hex"));
}

/** Fills those of MOUNTS that nothing here is called like. One that can't be had stays empty. Errors: `no-space`, `canceled`. */
export async function bringMounts(
  engine: BuildEngine,
  mounts: readonly { readonly id: string; readonly digest: Digest; readonly size: number }[],
  provider: Provider,
  { signal, onWarning }: MountTransferOptions,
): Promise<void> {
  const known = new Set(engine.cacheMounts.list().flatMap(({ id }) => [id, shownCacheMountId(id)]));
  for (const { id, digest, size } of mounts) {
    if (known.has(id)) continue;
    const from = provider.read({ mediaType: MediaType.ociLayerGzip, digest, size }, signal ? { signal } : {});
    try {
      await importCacheMount(engine, { id, from, ...(signal ? { signal } : {}) });
    } catch (error) {
      const code = errorCode(error);
      if (code === "canceled" || code === "no-space") throw error;
      onWarning(`the cache mount ${JSON.stringify(id)} can't be had, and starts empty: ${messageOf(error)}`);
    }
  }
}
