import { createHash } from "node:crypto";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** A request as the server saw it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on loopback that answers each path as it was told, and remembers what it was asked. */
export interface WebServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly seen: readonly Seen[];
  /** `GET /path`, in order. */
  asked(): readonly string[];
  answer(path: string, answer: Answer): void;
}

export async function startWebServer(): Promise<WebServer> {
  const answers = new Map<string, Answer>();
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    const path = (request.url ?? "").replace(/\?.*$/s, "");
    seen.push({ method: request.method ?? "", path, headers: request.headers });
    const answer = answers.get(path);
    if (answer) return answer(request, response);
    response.writeHead(404).end("nothing here");
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket.on("close", () => sockets.delete(socket))));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    seen,
    asked: () => seen.map(({ method, path }) => `${method} ${path}`),
    answer: (path, answer) => void answers.set(path, answer),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with BODY, and with 304 to whoever has it. */
export function entity(body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Answer {
  const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
  return (request, response) => {
    const known = (request.headers["if-none-match"] ?? "").split(", ").includes(etag);
    response.writeHead(known ? 304 : 200, { etag, ...headers });
    response.end(known || request.method === "HEAD" ? undefined : body);
  };
}

/** Answers with BODY, whatever the caller has. */
export function plain(body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_, response) => void response.writeHead(200, headers).end(body);
}
