import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf } from "./s3-server.js";

export const GHA_TOKEN = "runtime-token";

/** What GitHub's cache service does, version 2, with the storage that it sends its clients to. */
export interface GhaServer extends AsyncDisposable {
  readonly url: string;
  readonly entries: Map<string, Buffer>;
  readonly requests: string[];
  /** Signed addresses that have been given before do not work any more. */
  expire(): void;
}

export async function startGha(): Promise<GhaServer> {
  const entries = new Map<string, Buffer>();
  const pending = new Map<string, Buffer>();
  const blocks = new Map<string, Map<string, Buffer>>();
  const requests: string[] = [];
  let signature = 1;
  const server = createServer(async (incoming, outgoing) => {
    const body = await bodyOf(incoming);
    if (body === undefined) return; // whoever sent it is gone
    const url = new URL(incoming.url ?? "", "http://x");
    const method = /^\/base\/twirp\/github\.actions\.results\.api\.v1\.CacheService\/(\w+)$/.exec(url.pathname)?.[1];
    requests.push(method ?? `${incoming.method} ${url.searchParams.get("comp") ?? "blob"}`);
    if (method === undefined) return store(incoming.method ?? "", url, incoming.headers, body, outgoing);
    if (incoming.headers.authorization !== `Bearer ${GHA_TOKEN}`)
      return json(outgoing, 401, { code: "unauthenticated", msg: "no such token" });
    const { key, restore_keys: prefixes = [], version, size_bytes: size } = JSON.parse(body.toString());
    const id = `${version} ${key}`;
    const signed = (name: string) => `${address()}/store?sig=${signature}&name=${encodeURIComponent(name)}`;
    switch (method) {
      case "CreateCacheEntry":
        if (entries.has(id))
          return json(outgoing, 409, { code: "already_exists", msg: "cache entry with the same key already exists" });
        return json(outgoing, 200, { ok: true, signed_upload_url: signed(id) });
      case "FinalizeCacheEntryUpload": {
        const bytes = pending.get(id);
        if (bytes?.length !== Number(size))
          return json(outgoing, 400, { code: "invalid_argument", msg: "another size" });
        entries.set(id, bytes);
        return json(outgoing, 200, { ok: true, entry_id: "1" });
      }
      default: {
        const names = [...entries.keys()].reverse();
        const match =
          names.find((name) => name === id) ??
          names.find((name) => prefixes.some((prefix: string) => name.startsWith(`${version} ${prefix}`)));
        if (match === undefined) return json(outgoing, 200, { ok: false, signed_download_url: "" });
        return json(outgoing, 200, {
          ok: true,
          signed_download_url: signed(match),
          matched_key: match.slice(version.length + 1),
        });
      }
    }
  });

  function store(
    method: string,
    url: URL,
    headers: NodeJS.Dict<string | string[]>,
    body: Buffer,
    outgoing: ServerResponse,
  ): void {
    const name = url.searchParams.get("name") ?? "";
    if (url.searchParams.get("sig") !== String(signature) || headers.authorization) {
      outgoing.writeHead(403).end("<Error><Code>AuthenticationFailed</Code></Error>");
      return;
    }
    if (method === "GET") {
      const start = Number(/^bytes=(\d+)-/.exec(String(headers.range ?? ""))?.[1] ?? 0);
      outgoing.writeHead(start > 0 ? 206 : 200).end(entries.get(name)?.subarray(start));
      return;
    }
    const known = blocks.get(name) ?? new Map<string, Buffer>();
    blocks.set(name, known);
    switch (url.searchParams.get("comp")) {
      case "block":
        known.set(url.searchParams.get("blockid") ?? "", body);
        break;
      case "blocklist":
        pending.set(
          name,
          Buffer.concat(
            [...body.toString().matchAll(/<Latest>([^<]+)</g)].map(([, id = ""]) => known.get(id) ?? Buffer.alloc(0)),
          ),
        );
        break;
      default:
        if (headers["x-ms-blob-type"] !== "BlockBlob") {
          outgoing.writeHead(400).end();
          return;
        }
        pending.set(name, body);
    }
    outgoing.writeHead(201).end();
  }

  const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `${address()}/base/`,
    entries,
    requests,
    expire: () => void signature++,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function json(outgoing: ServerResponse, status: number, value: object): void {
  outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}
