import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";

/** Git as a test uses it: nothing of the machine's settings, the same author and time each time. */
export function git(cwd: string, ...words: readonly string[]): string {
  return execFileSync("git", words, {
    cwd,
    encoding: "utf8",
    env: GIT_ENV,
    timeout: GIT_TIMEOUT_MS,
    stdio: ["ignore", "pipe", "pipe"],
  }).trim();
}

/** No command here asks a server, least of all one in this process, which it would wait for in vain. */
const GIT_TIMEOUT_MS = 20_000;
const GIT_ENV = {
  PATH: process.env.PATH,
  HOME: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "test",
  GIT_AUTHOR_EMAIL: "test@test",
  GIT_COMMITTER_NAME: "test",
  GIT_COMMITTER_EMAIL: "test@test",
  GIT_AUTHOR_DATE: "1700000000 +0000",
  GIT_COMMITTER_DATE: "1700000000 +0000",
  GIT_CONFIG_COUNT: "2",
  GIT_CONFIG_KEY_0: "protocol.file.allow",
  GIT_CONFIG_VALUE_0: "always",
  GIT_CONFIG_KEY_1: "init.defaultBranch",
  GIT_CONFIG_VALUE_1: "main",
};

/** The time of every commit. Seconds since the epoch. */
export const COMMIT_TIME = 1_700_000_000;

/** Makes a repository in DIRECTORY; `commit` then adds to it. */
export function makeRepository(directory: string, format: "sha1" | "sha256" = "sha1"): void {
  fs.mkdirSync(directory, { recursive: true });
  git(directory, "init", "--quiet", `--object-format=${format}`);
}

/** Writes FILES and commits everything; the id of the commit. */
export function commit(directory: string, files: Readonly<Record<string, string>>, message = "a commit"): string {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    fs.writeFileSync(path.join(directory, name), content);
  }
  git(directory, "add", "--all");
  git(directory, "commit", "--quiet", "--allow-empty", "--message", message);
  return git(directory, "rev-parse", "HEAD");
}

/** Adds the repository NAME of the same server as a submodule, under the address URL. */
export function addSubmodule(directory: string, name: string, url: string): void {
  git(directory, "submodule", "--quiet", "add", path.join(directory, "..", name), name);
  git(directory, "config", "--file", ".gitmodules", `submodule.${name}.url`, url);
}

/** The repositories below a directory, served by git's own program. */
export interface GitServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Authorization headers and paths of the requests so far. */
  readonly seen: readonly { readonly path: string; readonly authorization: string | undefined }[];
  /** Requests without this Authorization are refused from now on. */
  require(authorization: string | undefined): void;
  /** Says nothing to any request from now on; called back with each. */
  stall(onRequest: () => void): void;
}

/** With a certificate of its own in TLS, it is reached by https alone. */
export async function startGitServer(
  root: string,
  tls?: { readonly key: Buffer; readonly cert: Buffer },
): Promise<GitServer> {
  const seen: { readonly path: string; readonly authorization: string | undefined }[] = [];
  let required: string | undefined;
  let stalled: (() => void) | undefined;
  const answer = (request: http.IncomingMessage, response: http.ServerResponse) => {
    const { authorization } = request.headers;
    seen.push({ path: request.url ?? "", authorization });
    if (stalled) return stalled();
    if (required !== undefined && authorization?.toLowerCase() !== required.toLowerCase())
      return void response.writeHead(401, { "www-authenticate": "Basic" }).end();
    serve(root, request, response);
  };
  const server = tls === undefined ? http.createServer(answer) : https.createServer(tls, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    seen,
    require(authorization) {
      required = authorization;
    },
    stall(onRequest) {
      stalled = onRequest;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Runs `git http-backend` (gitprotocol-http) as CGI. */
function serve(root: string, request: http.IncomingMessage, response: http.ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://server");
  const { headers, method = "GET" } = request;
  const env = {
    ...GIT_ENV,
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: url.pathname,
    QUERY_STRING: url.search.slice(1),
    REQUEST_METHOD: method,
    CONTENT_TYPE: headers["content-type"] ?? "",
    HTTP_CONTENT_ENCODING: headers["content-encoding"] ?? "",
    GIT_PROTOCOL: String(headers["git-protocol"] ?? ""),
  };
  const backend = spawn("git", ["http-backend"], { env, stdio: ["pipe", "pipe", "ignore"] });
  backend.stdin.on("error", () => undefined);
  request.pipe(backend.stdin);
  let head = Buffer.alloc(0);
  let hasHead = false;
  backend.stdout.on("data", (chunk: Buffer) => {
    if (hasHead) return void response.write(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    hasHead = true;
    const fields = head
      .subarray(0, end)
      .toString()
      .split("\r\n")
      .map((line) => line.split(/: ?/, 2));
    const status = Number.parseInt(fields.find(([name]) => name?.toLowerCase() === "status")?.[1] ?? "200", 10);
    for (const [name = "", value = ""] of fields) if (name.toLowerCase() !== "status") response.setHeader(name, value);
    response.writeHead(status).write(head.subarray(end + 4));
  });
  backend.on("close", () => response.end());
}
