import { describe, expect, it } from "vitest";
import { digestOf, systemClock } from "../../src/base/index.js";
import type { Descriptor, Provider } from "../../src/oci/index.js";
import { parseReference } from "../../src/oci/index.js";
import { createRegistry, type PutBlobOptions, pushImage } from "../../src/registry/index.js";
import { rootOf, testImage } from "./docker-registry.js";
import { startUploadServer, type UploadManners, type UploadServer } from "./upload-server.js";

const CONTENT = Buffer.from("0123456789".repeat(2_000_000));
const BLOB: Descriptor = { mediaType: "x", digest: digestOf(CONTENT), size: CONTENT.length };
const CHUNK_BYTES = 65_536;
const source: Provider = {
  async *read(target, options) {
    for (let at = options?.offset ?? 0; at < target.size; at += CHUNK_BYTES)
      yield CONTENT.subarray(at, Math.min(at + CHUNK_BYTES, target.size));
  },
};
const credentials = { get: async () => ({ kind: "password", username: "u", password: "pass-word" }) as const };

/** Puts the blob into a server of such manners, and looks at what came of it. */
async function put(
  manners: UploadManners,
  look: (server: UploadServer, outcome: unknown) => unknown = () => {},
  options: PutBlobOptions = {},
): Promise<void> {
  await using server = await startUploadServer(manners);
  await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [0, 0, 0], credentials });
  const repository = registry.repository(parseReference(`${server.name}/app`));
  const origins = options.origins?.map((origin) => ({ ...origin, registry: server.name }));
  const outcome = await repository.putBlob(BLOB, source, { ...options, origins });
  if (outcome === "uploaded") expect([...server.blobs.keys()]).toEqual([BLOB.digest]);
  await look(server, outcome);
}

const methods = ({ requests }: UploadServer): string[] => requests.map((request) => request.split(" ")[0] ?? "");

describe("a blob is stored by a registry that", () => {
  it.each<[string, UploadManners]>([
    ["gives places relative to itself", {}],
    ["gives whole addresses", { location: (address, origin) => origin + address }],
    ["gives places relative to the request", { location: (address) => address.replace("/v2/app/blobs/uploads/", "") }],
    ["gives places without a scheme", { location: (address, origin) => origin.replace("http:", "") + address }],
    ["redirects beginnings", { redirected: "POST" }],
    ["redirects bodies", { redirected: "PUT" }],
    ["redirects questions", { redirected: "HEAD" }],
    ["says no more than it must", { silent: true }],
    ["answers 200", { stored: 200 }],
    ["answers 202", { stored: 202 }],
    ["answers 204", { stored: 204 }],
  ])("%s", (_, manners) => put(manners));

  it("takes bodies up to a limit: in chunks", () =>
    put({ bodyMax: 9_000_000 }, (server) => {
      expect(methods(server)).toEqual(["HEAD", "POST", "PUT", "POST", "PATCH", "PATCH", "PATCH", "PUT"]);
    }));

  it("takes chunks from a limit on: in such", () =>
    put({ bodyMax: 12_000_000, chunkMin: 10_000_000, silent: true }, (server) => {
      expect(methods(server)).toEqual(["HEAD", "POST", "PUT", "POST", "PATCH", "PATCH", "PUT"]);
    }));

  it("takes less in a chunk than is usual: in as many as that makes", () =>
    put({ bodyMax: 3_000_000 }, (server) => {
      expect(methods(server).filter((method) => method === "PATCH").length).toBeGreaterThan(9);
    }));

  it("takes next to nothing in a chunk: not at all", async () => {
    await expect(put({ bodyMax: 1000 })).rejects.toMatchObject({ code: "failed", message: /: 413$/ });
  });

  it("redirects chunks", () => put({ bodyMax: 9_000_000, redirected: "PATCH" }));
});

describe("a connection that is cut", () => {
  it("is taken up where the registry has the bytes", () =>
    put({ cuts: [5_000_000, 6_000_000] }, (server) => {
      expect(server.received()).toBe(CONTENT.length);
      expect(methods(server)).toEqual(["HEAD", "POST", "PUT", "GET", "PUT", "GET", "PUT"]);
    }));

  it.each(["lost", "forgotten"] as const)("is begun anew where they are %s", (afterCut) =>
    put({ cuts: [5_000_000], afterCut }, (server) => {
      expect(server.received()).toBe(CONTENT.length + 5_000_000);
    }),
  );

  it("in the middle of a chunk costs that chunk's rest", () =>
    put({ bodyMax: 9_000_000, cuts: [3_000_000] }, (server) => expect(server.received()).toBe(CONTENT.length)));

  it("again and again without progress is given up", async () => {
    const cuts = Array(50).fill(1000);
    await expect(put({ cuts, afterCut: "lost" })).rejects.toMatchObject({ code: "unavailable" });
  });

  it("after the last byte is no reason to send it twice", async () => {
    let isCut = false;
    const instead: UploadManners["instead"] = (request, response) => {
      if (request.method !== "PUT" || isCut) return false;
      isCut = true;
      // The registry stores it; its answer is lost.
      response.end = () => response.destroy();
      return false;
    };
    await put({ instead }, (server) => {
      expect(server.received()).toBe(CONTENT.length);
      expect(methods(server)).toEqual(["HEAD", "POST", "PUT", "GET", "HEAD"]);
    });
  });

  it("is told to who watches", async () => {
    const sent: number[] = [];
    await put({ cuts: [5_000_000], afterCut: "lost" }, () => {}, { onSent: (bytes) => sent.push(bytes) });
    expect(sent.at(-1)).toBe(CONTENT.length);
    expect(sent).toContain(0);
  });
});

describe("a mount", () => {
  const origins = [
    parseReference("x.example/other"),
    parseReference("x.example/third"),
    parseReference("x.example/fourth"),
  ];

  it("that works sends nothing", () =>
    put({ mount: "mounted" }, (server, outcome) => expect([outcome, server.received()]).toEqual(["mounted", 0]), {
      origins,
    }));

  it("that is refused goes over to the upload that was begun", () =>
    put({ mount: "refused" }, (server) => expect(methods(server)).toEqual(["HEAD", "POST", "POST", "DELETE", "PUT"]), {
      origins,
    }));

  it("from what we may not see is none", () => put({ mount: "denied" }, () => {}, { origins }));
});

describe("a hostile registry", () => {
  it.each<[string, UploadManners]>([
    ["gives no place", { location: () => undefined }],
    ["gives a place that is no web address", { location: () => "file:///etc/passwd" }],
    [
      "gives a place with a password in it",
      { location: (address, origin) => origin.replace("//", "//u:p@") + address },
    ],
    ["redirects without end", { instead: (_, response) => !!response.writeHead(307, { location: "/again" }).end() }],
    [
      "redirects to what is no web address",
      { instead: (_, response) => !!response.writeHead(307, { location: "file:///" }).end() },
    ],
  ])("that %s is refused", async (_, manners) => {
    await expect(put(manners)).rejects.toMatchObject({ code: "failed" });
  });

  it("that forgets every upload is given up", async () => {
    const instead: UploadManners["instead"] = (request, response) =>
      request.method === "PUT" && !!response.writeHead(404).end();
    await expect(put({ instead })).rejects.toMatchObject({ code: "unavailable" });
  });

  it("that says it stored something else is not believed", async () => {
    const digest = digestOf("other");
    const instead: UploadManners["instead"] = (request, response) => {
      if (request.method !== "PUT") return false;
      request.resume().on("end", () => response.writeHead(201, { "docker-content-digest": digest }).end());
      return true;
    };
    await expect(put({ instead })).rejects.toMatchObject({
      code: "data-loss",
      message: expect.stringContaining(digest),
    });
  });

  it("that answers without end keeps nobody", async () => {
    const instead: UploadManners["instead"] = (request, response) => {
      if (request.method !== "PUT") return false;
      request.resume().on("end", () => {
        response.writeHead(201);
        const more = (): void => void (response.destroyed || response.write(" ".repeat(65_536), more));
        more();
      });
      return true;
    };
    await using server = await startUploadServer({ instead });
    await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [] });
    const repository = registry.repository(parseReference(`${server.name}/app`));
    expect(await repository.putBlob(BLOB, source)).toBe("uploaded");
  });

  it("that sends elsewhere gets no credential there", async () => {
    const seen: (string | undefined)[] = [];
    await using elsewhere = await startUploadServer({
      instead: (request, response) => {
        seen.push(request.headers.authorization);
        request.resume().on("end", () => response.writeHead(401, { "www-authenticate": "Basic" }).end());
        return true;
      },
    });
    const instead: UploadManners["instead"] = (request, response) =>
      request.headers.authorization === undefined && !!response.writeHead(401, { "www-authenticate": "Basic" }).end();
    const manners: UploadManners = { instead, location: (address) => `http://${elsewhere.name}${address}` };
    await expect(put(manners)).rejects.toMatchObject({ code: "denied" });
    expect(seen).toEqual([undefined]);
  });
});

it("a source that fails while it is read is what the push ends with", async () => {
  await using server = await startUploadServer();
  await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [0, 0, 0] });
  const repository = registry.repository(parseReference(`${server.name}/app`));
  const failing: Provider = {
    async *read(target, options) {
      for await (const chunk of source.read(target, options)) {
        yield chunk;
        if (chunk.length > 0) throw new Error("the disk is gone");
      }
    },
  };
  await expect(repository.putBlob(BLOB, failing)).rejects.toThrow("the disk is gone");
  expect(methods(server).filter((method) => method === "POST")).toHaveLength(1);
});

it("a manifest that the registry stores as something else is an error, and an overloaded registry is waited for", async () => {
  const image = testImage(["layer"], { os: "linux", architecture: "amd64" });
  const all = new Map(
    [...image.blobs, ...image.documents.map(({ bytes }) => bytes)].map((one) => [digestOf(one), one]),
  );
  const provider: Provider = {
    async *read(target, options) {
      yield (all.get(target.digest) ?? Buffer.alloc(0)).subarray(options?.offset ?? 0);
    },
  };
  let refused = 0;
  const instead: UploadManners["instead"] = (request, response) => {
    if (request.method === "POST" && refused++ < 2)
      return !!response
        .writeHead(429, { date: new Date(0).toUTCString(), "retry-after": new Date(0).toUTCString() })
        .end();
    if (request.method !== "PUT" || request.url?.includes("/manifests/") !== true) return false;
    request.resume().on("end", () => response.writeHead(201, { "docker-content-digest": digestOf("other") }).end());
    return true;
  };
  await using server = await startUploadServer({ instead });
  await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [3_600_000, 3_600_000] });
  const repository = registry.repository(parseReference(`${server.name}/app`));
  await expect(pushImage(repository, rootOf(image), provider, { tags: ["one"] })).rejects.toMatchObject({
    code: "data-loss",
    message: expect.stringContaining(`failed to push ${server.name}/app: uploading manifest one: the registry stored`),
  });
  expect(server.blobs.size).toBe(2);
});
