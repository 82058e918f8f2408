import { createHash, createHmac } from "node:crypto";

/** Who asks, and where (AWS Signature Version 4). */
export interface Signer {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  readonly region: string;
}

/** A request to S3, not signed yet. */
export interface Unsigned {
  readonly method: string;
  /** Its path and query are encoded as `encodedPath` and `encodedQuery` do. */
  readonly url: URL;
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** sha256 of the body, in hex. */
  readonly payload: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** The headers of REQUEST with those that sign it, all of them. `host` is left to whoever sends it. */
export function signedHeaders(request: Unsigned, signer: Signer): Readonly<Record<string, string>> {
  const time = timestamp(request.at);
  const { sessionToken } = signer;
  const headers = {
    ...request.headers,
    "x-amz-content-sha256": request.payload,
    "x-amz-date": time,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken }),
  };
  const scope = `${time.slice(0, 8)}/${signer.region}/s3/aws4_request`;
  const signed: Readonly<Record<string, string>> = { ...headers, host: request.url.host };
  const names = Object.keys(signed).sort();
  const canonical = [
    request.method,
    request.url.pathname,
    request.url.search.slice(1),
    ...names.map((name) => `${name}:${signed[name]?.trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    request.payload,
  ].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  const key = [time.slice(0, 8), signer.region, "s3", "aws4_request"].reduce<string | Buffer>(
    (secret, part) => hmac(secret, part).digest(),
    `AWS4${signer.secretAccessKey}`,
  );
  const signature = hmac(key, text).digest("hex");
  const credential = `${signer.accessKeyId}/${scope}`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...headers, authorization };
}

/** A path with all encoded that a signature wants encoded; slashes stay. */
export function encodedPath(path: string): string {
  return path.split("/").map(encoded).join("/");
}

/** A query in the order of a signature. */
export function encodedQuery(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
  return pairs.sort().join("&");
}

/** sha256 in hex. */
export function sha256(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `20260102T030405Z`. */
function timestamp(at: number): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, "");
}

function hmac(key: string | Buffer, text: string) {
  return createHmac("sha256", key).update(text);
}
