import type { IncomingMessage, ServerResponse } from "node:http";
import { digestOf } from "../../src/base/index.js";
import { startUploadServer, type UploadManners, type UploadServer } from "./upload-server.js";

/** In which of the ways that distribution-spec allows, or doesn't, a registry gives what it holds. */
export interface SpecManners extends UploadManners {
  /** Whether it lists referrers; else it knows no such address. */
  readonly referrers?: boolean;
  /** Referrers on one page. */
  readonly pageSize?: number;
  /** Headers of every answer to GET and HEAD; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Statuses given in the place of the answer, by `METHOD kind`, as often as there are numbers. */
  readonly first?: Readonly<Record<string, number[]>>;
  /** Whether ranges are known; true unless it says otherwise. */
  readonly ranges?: boolean;
}

/** A registry of the one repository `app` in memory, which can be read, too. */
export async function startSpecServer(manners: SpecManners = {}): Promise<UploadServer> {
  const shared: { server?: UploadServer } = {};
  const first = Object.fromEntries(Object.entries(manners.first ?? {}).map(([key, value]) => [key, [...value]]));
  const server = await startUploadServer({
    ...manners,
    instead(request, response) {
      if (manners.instead?.(request, response)) return true;
      const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
      const place = /^(?:\/elsewhere)?\/v2\/app\/(blobs|manifests|referrers)\/([^/]+)$/.exec(pathname);
      const [, kind = pathname.includes("/uploads/") ? "uploads" : "", name = ""] = place ?? [];
      const status = first[`${request.method} ${kind}`]?.shift();
      if (status !== undefined) {
        request.resume();
        response.writeHead(status).end('{"errors":[{"code":"UNKNOWN","message":"as told"}]}');
        return true;
      }
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (!isRead || place === null || shared.server === undefined) return false;
      if (kind === "referrers") listReferrers(shared.server, name, { manners, response, searchParams });
      else give(shared.server[kind as "blobs" | "manifests"].get(name), kind, { manners, request, response });
      return true;
    },
  });
  shared.server = server;
  return server;
}

interface Giving {
  readonly manners: SpecManners;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

function give(content: Buffer | undefined, kind: string, { manners, request, response }: Giving): void {
  if (content === undefined) {
    response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}');
    return;
  }
  const start = manners.ranges === false ? undefined : /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
  const body = content.subarray(Number(start ?? 0));
  const said: Record<string, string | undefined> = {
    "content-type": kind === "manifests" ? typeOf(content) : "application/octet-stream",
    "content-length": String(body.length),
    "docker-content-digest": digestOf(content),
    ...(start === undefined ? {} : { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }),
    ...manners.headers,
  };
  for (const [key, value] of Object.entries(said)) if (value !== undefined) response.setHeader(key, value);
  response.writeHead(start === undefined ? 200 : 206).end(request.method === "HEAD" ? undefined : body);
}

function typeOf(manifest: Buffer): string {
  return JSON.parse(manifest.toString()).mediaType ?? "application/vnd.oci.image.manifest.v1+json";
}

interface Listing {
  readonly manners: SpecManners;
  readonly response: ServerResponse;
  readonly searchParams: URLSearchParams;
}

function listReferrers(server: UploadServer, subject: string, { manners, response, searchParams }: Listing): void {
  if (manners.referrers !== true) {
    response.writeHead(404).end();
    return;
  }
  const all = [...server.manifests].flatMap(([name, bytes]) => {
    const manifest = JSON.parse(bytes.toString());
    if (!name.startsWith("sha256:") || manifest.subject?.digest !== subject) return [];
    const { mediaType, artifactType, annotations } = manifest;
    return [{ mediaType, digest: name, size: bytes.length, artifactType, annotations }];
  });
  const from = Number(searchParams.get("from") ?? 0);
  const to = from + (manners.pageSize ?? all.length);
  if (to < all.length) response.setHeader("link", `</v2/app/referrers/${subject}?from=${to}>; rel="next"`);
  const mediaType = "application/vnd.oci.image.index.v1+json";
  response
    .writeHead(200, { "content-type": mediaType })
    .end(JSON.stringify({ schemaVersion: 2, mediaType, manifests: all.slice(from, to) }));
}
