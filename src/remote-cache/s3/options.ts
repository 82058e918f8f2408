import { EngineError } from "../../base/index.js";
import { flag } from "../flag.js";
import type { S3Place } from "./s3-store.js";

const DAY_MS = 24 * 60 * 60 * 1000;

/** What may be said of such a place; `upload_parallelism` is BuildKit's, and counts for nothing. */
export const S3_OPTIONS = [
  "bucket",
  "region",
  "access_key_id",
  "secret_access_key",
  "session_token",
  "name",
  "prefix",
  "manifests_prefix",
  "blobs_prefix",
  "endpoint_url",
  "use_path_style",
  "touch_refresh",
  "upload_parallelism",
] as const;

/** Reads where in S3 a cache is. Throws `invalid`. */
export function s3Place(attrs: Readonly<Record<string, string>>): S3Place {
  const { prefix = "", manifests_prefix: manifestsPrefix = "manifests/", blobs_prefix: blobsPrefix = "blobs/" } = attrs;
  const { session_token: sessionToken, endpoint_url: endpoint, touch_refresh: touch } = attrs;
  const [first = "", ...more] = (attrs.name ?? "ashlar").split(";");
  return {
    bucket: needed(attrs, "bucket", "AWS_BUCKET"),
    region: needed(attrs, "region", "AWS_REGION"),
    accessKeyId: needed(attrs, "access_key_id", "AWS_ACCESS_KEY_ID"),
    secretAccessKey: needed(attrs, "secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    sessionToken: sessionToken || undefined,
    endpoint: endpoint ? endpointOf(endpoint) : undefined,
    pathStyle: flag(attrs, "use_path_style", false),
    ...{ prefix, manifestsPrefix, blobsPrefix },
    names: [first, ...more],
    touchAfterMs: touch === undefined ? DAY_MS : durationMs(touch, "touch_refresh"),
  };
}

function needed(attrs: Readonly<Record<string, string>>, name: string, variable: string): string {
  const value = attrs[name];
  if (!value) throw new EngineError("invalid", `${name} ($${variable}) not set for s3 cache`);
  return value;
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new EngineError(
    "invalid",
    `invalid endpoint_url ${JSON.stringify(text)}: it is an address such as https://s3.example.com`,
  );
}

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** A duration as Go writes it: `24h`, `1h30m`. */
export function durationMs(text: string, name: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(text))
    throw new EngineError("invalid", `invalid ${name} ${JSON.stringify(text)}: it is a duration such as 24h`);
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)];
  return parts.reduce((sum, [, amount = "", unit = ""]) => sum + Number(amount) * (UNITS_MS[unit] ?? 0), 0);
}
