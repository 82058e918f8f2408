import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { digestOf, systemClock } from "../../src/base/index.js";
import { MediaType, parseReference } from "../../src/oci/index.js";
import { createRegistry, type RegistryCredential } from "../../src/registry/index.js";

const PASSWORD: RegistryCredential = { kind: "password", username: "me", password: "s3 cret" };
const IDENTITY: RegistryCredential = { kind: "identity-token", token: "refresh" };
const MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: MediaType.ociManifest,
  config: { mediaType: MediaType.ociConfig, digest: digestOf("{}"), size: 2 },
  layers: [],
});
/** A password, or the token in its place, as a header says it. */
const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

/** A question to the token server. */
interface Asked {
  readonly method: string;
  readonly authorization: string | undefined;
  readonly fields: Readonly<Record<string, string>>;
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handler);
  closing.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A registry that wants tokens, asked for NAMES; what its token server heard. POST: how that one answers a POST. */
async function asked(
  credential: RegistryCredential | undefined,
  post: number,
  names: readonly string[] = ["app"],
): Promise<readonly Asked[]> {
  const heard: Asked[] = [];
  const tokens = await listen(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = "", headers, url = "" } = request;
    const query = method === "POST" ? Buffer.concat(chunks).toString() : new URL(url, "http://x").search;
    heard.push({
      method,
      authorization: headers.authorization,
      fields: Object.fromEntries(new URLSearchParams(query)),
    });
    const member = method === "POST" ? "access_token" : "token";
    response.writeHead(method === "POST" ? post : 200).end(JSON.stringify({ [member]: "given" }));
  });
  const server = await listen((request, response) => {
    const isIn = request.headers.authorization === "Bearer given";
    const challenge = { "www-authenticate": `Bearer realm="http://${tokens}/token",service="here"` };
    const type = { "content-type": MediaType.ociManifest };
    response.writeHead(isIn ? 200 : 401, isIn ? type : challenge).end(isIn ? MANIFEST : "");
  });
  const credentials = { get: async () => credential };
  await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [], credentials });
  for (const name of names) await registry.repository(parseReference(`${server}/${name}`)).resolve({ tag: "1" });
  return heard;
}

it("nobody asks by GET, with neither name nor secret", async () => {
  const fields = { service: "here", scope: "repository:app:pull" };
  expect(await asked(undefined, 200)).toEqual([{ method: "GET", authorization: undefined, fields }]);
});

it("a password goes by POST, as OAuth 2 has it", async () => {
  const fields = {
    grant_type: "password",
    username: "me",
    password: "s3 cret",
    service: "here",
    client_id: "ashlar",
    scope: "repository:app:pull",
  };
  expect(await asked(PASSWORD, 200)).toEqual([{ method: "POST", authorization: undefined, fields }]);
});

it("an identity token is a refresh token", async () => {
  const fields = expect.objectContaining({ grant_type: "refresh_token", refresh_token: "refresh" });
  expect(await asked(IDENTITY, 200)).toEqual([{ method: "POST", authorization: undefined, fields }]);
});

it.each([400, 401, 404, 405])(
  "a token server that answers a POST with %i is asked by GET, and from then on",
  async (status) => {
    const heard = await asked(PASSWORD, status, ["one", "two"]);
    expect(heard.map(({ method, authorization }) => [method, authorization])).toEqual([
      ["POST", undefined],
      ["GET", basic("me:s3 cret")],
      ["GET", basic("me:s3 cret")],
    ]);
    expect(heard[2]?.fields).toEqual({ service: "here", scope: "repository:two:pull" });
  },
);

it("an identity token goes in the place of a password where there is no POST", async () => {
  expect((await asked(IDENTITY, 404)).at(-1)).toMatchObject({ method: "GET", authorization: basic(":refresh") });
});

it("a refusal by POST is not answered with another try", async () => {
  await expect(asked(PASSWORD, 403)).rejects.toMatchObject({
    code: "denied",
    message: expect.not.stringContaining("s3"),
  });
});
