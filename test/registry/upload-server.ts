import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { digestOf } from "../../src/base/index.js";

/** In which of the ways that distribution-spec allows, or doesn't, a registry takes uploads. */
export interface UploadManners {
  /** What follows a request's address in `Location`; default: an address relative to the server. */
  readonly location?: (address: string, origin: string) => string | undefined;
  /** Requests that are redirected (307), by method. */
  readonly redirected?: string;
  /** Bytes of one request's body. */
  readonly bodyMax?: number;
  readonly chunkMin?: number;
  /** Connections are cut after so many bytes of a body, as often as there are numbers. */
  readonly cuts?: number[];
  /** What becomes of a body that was cut. */
  readonly afterCut?: "kept" | "lost" | "forgotten";
  /** Nothing is said that needn't be: no digests, no ranges, no new locations. */
  readonly silent?: boolean;
  readonly mount?: "mounted" | "refused" | "denied";
  /** The status of what is stored. */
  readonly stored?: number;
  /** Answers in the server's place where it gives true. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** A registry of one repository in memory. */
export interface UploadServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly name: string;
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly manifests: ReadonlyMap<string, Buffer>;
  /** `POST /v2/app/blobs/uploads/`, without queries. */
  readonly requests: readonly string[];
  /** Bytes of all bodies. */
  received(): number;
}

export async function startUploadServer(manners: UploadManners = {}): Promise<UploadServer> {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, Buffer>();
  const uploads = new Map<string, Buffer>();
  const requests: string[] = [];
  const cuts = [...(manners.cuts ?? [])];
  let received = 0;
  let begun = 0;

  /** The body, or undefined if the connection was cut; KEEP gets what came before. */
  const readBody = async (request: IncomingMessage, keep: (bytes: Buffer) => void): Promise<Buffer | undefined> => {
    const chunks: Buffer[] = [];
    let size = 0;
    const length = Number(request.headers["content-length"] ?? 0);
    const limit = length > 0 ? cuts[0] : undefined;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      const wanted = limit === undefined ? chunk : chunk.subarray(0, Math.max(0, limit - size));
      chunks.push(wanted);
      size += wanted.length;
      received += wanted.length;
      if (limit === undefined || size < limit) continue;
      cuts.shift();
      keep(Buffer.concat(chunks));
      request.socket.destroy();
      return undefined;
    }
    return Buffer.concat(chunks);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    const { method = "" } = request;
    const url = new URL(request.url ?? "", "http://x");
    requests.push(`${method} ${url.pathname}`);
    const origin = `http://${request.headers.host}`;
    const end = (status: number, headers: Record<string, string> = {}) => response.writeHead(status, headers).end();
    const digest = (of: string): Record<string, string> => (manners.silent ? {} : { "docker-content-digest": of });
    const place = (id: string): Record<string, string> => {
      const address = `/v2/app/blobs/uploads/${id}?_state=a%2Bb`;
      const location = manners.location === undefined ? address : manners.location(address, origin);
      return location === undefined ? {} : { location };
    };
    const redirected = `/elsewhere${url.pathname}`;
    if (method === manners.redirected && !url.pathname.startsWith("/elsewhere"))
      return end(307, { location: `${redirected}${url.search}` });
    if (manners.instead?.(request, response)) return undefined;
    const pathname = url.pathname.replace(/^\/elsewhere/, "");
    const [, kind = "", name = ""] = /^\/v2\/app\/(blobs|manifests)\/([^/]+)$/.exec(pathname) ?? [];
    if (kind === "manifests" && method === "PUT") {
      const body = await readBody(request, () => {});
      if (body === undefined) return undefined;
      manifests.set(name, body);
      manifests.set(digestOf(body), body);
      return end(manners.stored ?? 201, digest(digestOf(body)));
    }
    if (kind !== "") {
      const known = (kind === "blobs" ? blobs : manifests).get(name);
      return known === undefined
        ? end(404)
        : end(200, { ...digest(digestOf(known)), "content-length": String(known.length) });
    }
    if (method === "POST") {
      const mount = url.searchParams.get("mount");
      if (mount !== null && manners.mount === "denied") return end(401, { "www-authenticate": 'Basic realm="x"' });
      if (mount !== null && manners.mount === "mounted") return end(201, { location: `/v2/app/blobs/${mount}` });
      const id = `u${++begun}`;
      uploads.set(id, Buffer.alloc(0));
      const least = manners.chunkMin === undefined ? {} : { "oci-chunk-min-length": String(manners.chunkMin) };
      return end(202, { ...place(id), ...least });
    }
    const id = /\/uploads\/([^/]+)$/.exec(pathname)?.[1] ?? "";
    const upload = uploads.get(id);
    if (upload === undefined || url.searchParams.get("_state") !== "a+b") return end(404);
    const range = (): Record<string, string> => {
      const size = uploads.get(id)?.length ?? 0;
      return manners.silent && method !== "GET" ? {} : { range: `0-${Math.max(0, size - 1)}` };
    };
    const again = (): Record<string, string> => (manners.silent ? {} : place(id));
    if (method === "GET") return end(204, { ...range(), ...again() });
    if (method === "DELETE") return uploads.delete(id) && end(204);
    if (manners.bodyMax !== undefined && Number(request.headers["content-length"]) > manners.bodyMax) return end(413);
    const start = /^(\d+)-(\d+)$/.exec(request.headers["content-range"] ?? "");
    if (start !== null && Number(start[1]) !== upload.length) return end(416, range());
    const body = await readBody(request, (bytes) => {
      const kept = { kept: Buffer.concat([upload, bytes]), lost: upload, forgotten: undefined }[
        manners.afterCut ?? "kept"
      ];
      if (kept === undefined) uploads.delete(id);
      else uploads.set(id, kept);
    });
    if (body === undefined) return undefined;
    uploads.set(id, Buffer.concat([upload, body]));
    if (method === "PATCH") {
      const isShort = manners.chunkMin !== undefined && body.length < manners.chunkMin;
      return isShort ? end(400) : end(202, { ...range(), ...again() });
    }
    const whole = uploads.get(id) ?? Buffer.alloc(0);
    uploads.delete(id);
    if (digestOf(whole) !== url.searchParams.get("digest")) return end(400);
    blobs.set(digestOf(whole), whole);
    return end(manners.stored ?? 201, digest(digestOf(whole)));
  };

  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    name: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    blobs,
    manifests,
    requests,
    received: () => received,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
