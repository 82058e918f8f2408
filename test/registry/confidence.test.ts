import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { messageOf, systemClock } from "../../src/base/index.js";
import { createRegistry, type RegistryCredential } from "../../src/registry/index.js";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** What a client with CREDENTIAL says of a registry that answers so. */
async function complaint(
  credential: RegistryCredential,
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<string> {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    answer(request, response, body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const credentials = { get: async () => credential };
  await using registry = createRegistry({ clock: systemClock, credentials, retryDelaysMs: [] });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return registry.ping(host).then(() => "", messageOf);
}

const secret = "s3cr3t PW/+x";
const password: RegistryCredential = { kind: "password", username: "me", password: secret };

describe("what we tell a registry in confidence", () => {
  it.each([secret, "pw"])("isn't told when the registry repeats it in an error (%s)", async (own) => {
    const said = await complaint({ ...password, password: own }, ({ headers }, response) => {
      const { authorization = "none" } = headers;
      const decoded = Buffer.from(authorization.split(" ")[1] ?? "", "base64").toString();
      const errors = [{ code: "UNAUTHORIZED", message: `you sent ${authorization}, which is ${decoded}` }];
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end(JSON.stringify({ errors }));
    });
    expect(said).toContain("you sent Basic xxxxx, which is me:xxxxx");
    expect(said).not.toContain(own);
  });

  it("isn't told when a token server repeats the form", async () => {
    const said = await complaint({ kind: "identity-token", token: "refresh-me-now" }, (request, response, body) => {
      if (request.method === "POST") return void response.writeHead(500).end(`no: ${body}`);
      const realm = `http://${request.headers.host}/token`;
      response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="s"` }).end();
    });
    expect(said).toMatch(/no: .*refresh_token=xxxxx/);
    expect(said).not.toContain("refresh-me-now");
  });

  it.each([
    ["Basic bWU6eA== is wrong", "Basic xxxxx is wrong"],
    ["basic authentication required", "basic authentication required"],
    ['{"message":"no basic auth credentials"}', "no basic auth credentials"],
    ['{"errors": [ {"code": ', undefined],
    ["<html>no</html>", undefined],
  ])("is found in %s, and nothing else is taken for it", async (body, told) => {
    const said = await complaint(password, (_, response) => void response.writeHead(403).end(body));
    if (told === undefined) expect(said).toMatch(/403$/);
    else expect(said).toMatch(new RegExp(`403: ${told}$`));
  });

  it("isn't sent to what is no address of the web, which is named", async () => {
    const said = await complaint(password, (_, response) => {
      response.writeHead(401, { "www-authenticate": 'Bearer realm="file:///etc/passwd"' }).end();
    });
    expect(said).toContain("refusing to ask file:// for a token");
  });
});
