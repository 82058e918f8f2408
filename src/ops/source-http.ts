import { canonicalJson, type Digest, digestOf, EngineError, isDigest, redactCredentials } from "../base/index.js";
import type { SourceOp } from "../llb/index.js";
import type { CacheMap, Op } from "../solver/index.js";
import { type DownloadOptions, type HttpBody, safeFileName } from "../sources/index.js";
import type { OpEnvironment } from "./environment.js";
import { createResult, type FileResult } from "./result.js";
import { enquiry, transfer } from "./transfer.js";

/** BuildKit's default for what ADD downloads. */
const FILE_MODE = 0o600;

/**
 * The op of a file at an address. It counts by the digest of what is there now, or of what must be there, and by everything that is
 * visible of the file but its address.
 */
export function createHttpOp(op: SourceOp, environment: OpEnvironment): Op<FileResult> {
  const { identifier: url, attrs } = op;
  const { downloads } = environment;
  const wanted = wantedDigest(attrs["http.checksum"]);
  const file = {
    name: safeFileName(attrs["http.filename"] ?? lastName(url)),
    mode: octal(attrs["http.perm"]) ?? FILE_MODE,
    uid: decimal(attrs["http.uid"]),
    gid: decimal(attrs["http.gid"]),
  };
  const look = (options: DownloadOptions): Promise<HttpBody> => downloads.look(url, options);
  return {
    async cacheMap(context): Promise<CacheMap<FileResult>> {
      const body = wanted === undefined ? await enquiry(environment, context, look) : { digest: wanted };
      const { digest, lastModified } = { lastModified: undefined, ...body };
      const preimage = { http: { ...file, digest, lastModified } };
      return { definition: digestOf(canonicalJson(preimage)), preimage, inputs: [], kept: true };
    },
    async exec(_inputs, context) {
      const expected = wanted ?? (await look(context)).digest;
      const downloaded = await transfer(environment, context, (progress) => downloads.take(url, progress));
      if (downloaded.digest !== expected) throw mismatch({ url, downloaded: downloaded.digest, expected, wanted });
      const { layers, plane } = environment;
      const workspace = await layers.create([]);
      try {
        const mtime = downloaded.lastModified ?? 0;
        await plane.run("placeFile", { workspace, file: downloaded.path, ...file, mtime }, { signal: context.signal });
        const tree = await layers.commit(workspace, { signal: context.signal });
        return [createResult({ kind: "tree", tree }, environment)];
      } catch (error) {
        await layers.abandon(workspace);
        throw error;
      }
    },
  };
}

function wantedDigest(checksum: string | undefined): Digest | undefined {
  if (checksum === undefined || isDigest(checksum)) return checksum;
  throw new EngineError("invalid", `invalid checksum ${JSON.stringify(checksum)}: it is sha256:<64 hex digits>`);
}

/** What was asked for by its digest is wrong; what was there a moment ago may be looked at once more. */
function mismatch(found: {
  readonly url: string;
  readonly downloaded: Digest;
  readonly expected: Digest;
  readonly wanted: Digest | undefined;
}): EngineError {
  const { url, downloaded, expected, wanted } = found;
  if (wanted !== undefined) return new EngineError("invalid", `digest mismatch ${downloaded}: ${expected}`);
  const message = `${redactCredentials(url)} changed during the build: digest mismatch ${downloaded}: ${expected}`;
  return new EngineError("changed", message);
}

function lastName(url: string): string {
  return (URL.canParse(url) ? new URL(url).pathname : "").split("/").at(-1) ?? "";
}

function octal(text: string | undefined): number | undefined {
  return text === undefined ? undefined : checked(Number.parseInt(text, text.startsWith("0") ? 8 : 10), text) & 0o7777;
}

function decimal(text: string | undefined): number {
  return text === undefined ? 0 : checked(Number(text), text);
}

function checked(value: number, text: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new EngineError("invalid", `${JSON.stringify(text)} is no number`);
}
