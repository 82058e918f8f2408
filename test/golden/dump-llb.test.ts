import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import type { FrontendRequest } from "../../src/frontend/index.js";
import { definitionBytes, dumpLines, wireGraph } from "../../src/llb/index.js";
import { formatPlatform } from "../../src/oci/index.js";
import { baseImage, convert, fakeBridge } from "../frontend/convert-fixture.js";

const FOLDER = join(import.meta.dirname, "dump-llb");
const NAMES = readdirSync(FOLDER).flatMap((name) =>
  name.endsWith(".Dockerfile") ? [name.replace(/\.Dockerfile$/, "")] : [],
);

/** What a build of some of them is asked besides. */
const REQUESTS: Readonly<Record<string, Partial<FrontendRequest>>> = {
  sandbox: {
    buildArgs: new Map([
      ["no_proxy", "localhost"],
      ["HTTP_PROXY", "http://proxy:3128"],
      ["BUILDKIT_SANDBOX_HOSTNAME", "box"],
    ]),
    extraHosts: [{ host: "db", ip: "10.0.0.7" }],
    ulimits: [{ name: "nofile", soft: 1024, hard: -1 }],
    shmSizeBytes: 1 << 20,
    cgroupParent: "/builds",
  },
  steps: {
    buildArgs: new Map([
      ["UNUSED", "1"],
      ["NAME", "you"],
    ]),
  },
  mounts: { buildArgs: new Map([["BUILDKIT_CACHE_MOUNT_NS", "team"]]) },
  platforms: { platforms: [{ os: "linux", architecture: "arm", variant: "v7" }] },
  contexts: {
    contexts: new Map([
      ["files", { kind: "local", name: "files" }],
      ["layout", { kind: "layout", identifier: "oci-layout:///images/layout:1" }],
      ["pinned", { kind: "image", reference: "docker.io/library/tools:latest" }],
    ]),
  },
  target: { target: "wanted", noCache: ["needed"] },
};

describe("the graph of a Dockerfile stays the same bytes, whatever order its request was filled in:", () => {
  it.each(NAMES)("%s", async (name) => {
    const text = readFileSync(join(FOLDER, `${name}.Dockerfile`), "utf8");
    const request = REQUESTS[name] ?? {};
    const dump = await dumped(text, request);
    expect(await dumped(text, reversed(request))).toBe(dump);
    await expect(dump).toMatchFileSnapshot(join(FOLDER, `${name}.jsonl`));
  });
});

/** The lines of a dump, and the digest of its protobuf bytes. */
async function dumped(text: string, request: Partial<FrontendRequest>): Promise<string> {
  const bridge = fakeBridge(
    {
      "docker.io/library/base:latest": baseImage(),
      "docker.io/library/tools:latest": baseImage({ User: "root" }),
      "/images/layout:1": baseImage({ WorkingDir: "/layout" }),
    },
    { "files/.dockerignore": "*.tmp\n!keep.tmp\n" },
  );
  const dockerignore = { name: ".dockerignore", text: "# not needed\n*.log\n!keep.log\n" };
  const { definition, platform } = await convert(text, { dockerignore, ...request }, bridge);
  const graph = wireGraph(definition);
  const bytes = definitionBytes(graph, [{ file: "Dockerfile", text }]);
  const last = JSON.stringify({ protobuf: { digest: digestOf(bytes), size: bytes.length } });
  return `${[...dumpLines(graph, formatPlatform(platform)), last].join("\n")}\n`;
}

function reversed(request: Partial<FrontendRequest>): Partial<FrontendRequest> {
  const { buildArgs = new Map(), contexts = new Map() } = request;
  return {
    ...request,
    buildArgs: new Map([...buildArgs].reverse()),
    contexts: new Map([...contexts].reverse()),
  };
}
