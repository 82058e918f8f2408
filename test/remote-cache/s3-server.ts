import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const S3_KEY = "AKIATEST";
export const S3_SECRET = "secret/with+signs";

interface Stored {
  bytes: Buffer;
  modifiedAt: number;
}

/** A small server that speaks as S3 does, for one bucket in paths. It refuses what is not signed as it should be. */
export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly objects: Map<string, Stored>;
  /** `PUT key` of every request, in order. */
  readonly requests: string[];
  /** Cuts off the next so many bodies of objects half-way. */
  cuts: number;
}

export async function startS3({
  bucket = "bucket",
  sessionToken,
}: {
  bucket?: string;
  sessionToken?: string;
} = {}): Promise<S3Server> {
  const objects = new Map<string, Stored>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const requests: string[] = [];
  const state = { cuts: 0 };
  const server = createServer(async (incoming, outgoing) => {
    const body = await bodyOf(incoming);
    if (body === undefined) return; // whoever sent it is gone
    const url = new URL(incoming.url ?? "", "http://x");
    const key = decodeURIComponent(url.pathname).slice(`/${bucket}/`.length);
    requests.push(`${incoming.method} ${key}${url.search}`);
    const wrong = wrongSignature(incoming, body, sessionToken);
    if (wrong)
      return answer(outgoing, 403, `<Error><Code>SignatureDoesNotMatch</Code><Message>${wrong}</Message></Error>`);
    const query = url.searchParams;
    const uploadId = query.get("uploadId");
    switch (incoming.method) {
      case "HEAD":
      case "GET":
        return give(incoming, outgoing, objects.get(key));
      case "POST":
        if (query.has("uploads")) {
          uploads.set(key, new Map());
          return answer(
            outgoing,
            200,
            `<InitiateMultipartUploadResult><UploadId>${key}!</UploadId></InitiateMultipartUploadResult>`,
          );
        }
        objects.set(key, {
          bytes: Buffer.concat([...(uploads.get(key) ?? [])].sort(([a], [b]) => a - b).map(([, part]) => part)),
          modifiedAt: Date.now(),
        });
        return answer(outgoing, 200, "<CompleteMultipartUploadResult/>");
      case "PUT": {
        const copied = incoming.headers["x-amz-copy-source"];
        if (uploadId) uploads.get(key)?.set(Number(query.get("partNumber")), body);
        else if (typeof copied === "string") {
          const from = objects.get(decodeURIComponent(copied).slice(`/${bucket}/`.length));
          objects.set(key, { bytes: from?.bytes ?? Buffer.alloc(0), modifiedAt: Date.now() });
        } else objects.set(key, { bytes: body, modifiedAt: Date.now() });
        outgoing.setHeader("etag", `"${createHash("md5").update(body).digest("hex")}"`);
        return answer(outgoing, 200, "");
      }
      default:
        return answer(outgoing, 204, "");
    }
  });

  function give(incoming: IncomingMessage, outgoing: ServerResponse, object: Stored | undefined): void {
    if (!object) {
      answer(outgoing, 404, "<Error><Code>NoSuchKey</Code></Error>");
      return;
    }
    const start = Number(/^bytes=(\d+)-/.exec(incoming.headers.range ?? "")?.[1] ?? 0);
    const bytes = object.bytes.subarray(start);
    outgoing.writeHead(incoming.headers.range ? 206 : 200, {
      "content-length": bytes.length,
      "last-modified": new Date(object.modifiedAt).toUTCString(),
    });
    if (incoming.method === "HEAD") outgoing.end();
    else if (state.cuts > 0) {
      state.cuts--;
      outgoing.write(bytes.subarray(0, bytes.length / 2), () => outgoing.destroy());
    } else outgoing.end(bytes);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    endpoint: `http://127.0.0.1:${port}`,
    objects,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** All that a request sends; undefined where it was cut off. */
export async function bodyOf(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

function answer(outgoing: ServerResponse, status: number, text: string): void {
  outgoing.writeHead(status, { "content-type": "application/xml" }).end(text);
}

/** What is wrong with how a request is signed, by Amazon's description of Signature Version 4. */
function wrongSignature(
  { method, url = "", headers }: IncomingMessage,
  body: Buffer,
  token: string | undefined,
): string | undefined {
  const parsed =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? "",
    );
  if (!parsed) return "no authorization";
  const [, key, day = "", region = "", names = "", signature] = parsed;
  const hash = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
  if (key !== S3_KEY) return "another key";
  if (headers["x-amz-content-sha256"] !== hash(body)) return "another body";
  if (headers["x-amz-security-token"] !== token) return "another session";
  for (const needed of ["host", ...Object.keys(headers).filter((name) => name.startsWith("x-amz-"))])
    if (!names.split(";").includes(needed)) return `${needed} is not signed`;
  const time = String(headers["x-amz-date"]);
  if (Math.abs(Date.now() - Date.parse(time.replace(/(....)(..)(..)T(..)(..)(..)Z/, "$1-$2-$3T$4:$5:$6Z"))) > 900_000)
    return "another time";
  const [path, query = ""] = url.split("?");
  const lines = names.split(";").map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = `${method}\n${path}\n${query.split("&").sort().join("&")}\n${lines.join("")}\n${names}\n${hash(body)}`;
  let secret: Buffer | string = `AWS4${S3_SECRET}`;
  for (const part of [day, region, "s3", "aws4_request"]) secret = createHmac("sha256", secret).update(part).digest();
  const text = `AWS4-HMAC-SHA256\n${time}\n${day}/${region}/s3/aws4_request\n${hash(canonical)}`;
  return createHmac("sha256", secret).update(text).digest("hex") === signature
    ? undefined
    : "the signature does not match";
}
