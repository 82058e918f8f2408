import { describe, expect, it } from "vitest";
import { createLocalClient } from "../../src/registry/local-client.js";
import type { RegistryClient, RegistryClientOptions } from "../../src/registry/registry-client.js";

/** A client whose answers are told by the scheme it was made for; what was asked stands in LOG. */
function fake(log: string[], statusOf: Readonly<Record<string, number>>) {
  return ({ host }: RegistryClientOptions): RegistryClient => ({
    send: async ({ path }) => {
      log.push(`${host.scheme} ${path}`);
      return { status: statusOf[host.scheme], header: () => undefined, discard: () => log.push("discard") } as never;
    },
    connected: () => ({}) as never,
    retryDelaysMs: [],
    close: async () => {},
  });
}
const request = (path: string) =>
  ({ method: "GET", path, scope: { repository: "app", access: "pull" }, what: "asking" }) as const;
const options = { registry: "localhost:5000", host: { scheme: "http" } } as RegistryClientOptions;

describe("a registry of this machine", () => {
  it("is asked by plain HTTP, and stays so", async () => {
    const log: string[] = [];
    const client = createLocalClient(options, fake(log, { http: 200, https: 200 }));
    await client.send(request("a"));
    await client.send(request("b"));
    expect(log).toEqual(["http a", "http b"]);
  });

  it("is asked by TLS from the moment it turns out to want that", async () => {
    const log: string[] = [];
    const client = createLocalClient(options, fake(log, { http: 400, https: 200 }));
    expect((await client.send(request("a"))).status).toBe(200);
    await client.send(request("b"));
    expect(log).toEqual(["http a", "discard", "https a", "https b"]);
  });
});
