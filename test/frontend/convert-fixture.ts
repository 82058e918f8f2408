import { type Digest, digestOf, EngineError } from "../../src/base/index.js";
import {
  createDockerfileFrontend,
  type Diagnostic,
  DiagnosticError,
  type FrontendBridge,
  type FrontendImage,
  type FrontendRequest,
} from "../../src/frontend/index.js";
import type { Definition, OpNode } from "../../src/llb/index.js";
import type { ImageConfig, RuntimeConfig } from "../../src/oci/index.js";

export function digest(text: string): Digest {
  return digestOf(text);
}

/** The config of the image that the recorded cases are built upon, with CHANGES to its settings. */
export function baseImage(changes: RuntimeConfig = {}): ImageConfig {
  return {
    created: "2017-07-14T02:40:00Z",
    architecture: "amd64",
    os: "linux",
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Cmd: ["sh"],
      WorkingDir: "/",
      ...changes,
    },
    rootfs: { type: "layers", diff_ids: [digest("base layer")] },
    history: [{ created: "2017-07-14T02:40:00Z", created_by: "base rootfs" }],
  };
}

export function requestFor(text: string, changes: Partial<FrontendRequest> = {}): FrontendRequest {
  return {
    dockerfile: { name: "Dockerfile", text },
    dockerignore: undefined,
    target: undefined,
    buildArgs: new Map(),
    labels: new Map(),
    contexts: new Map(),
    platforms: [],
    buildPlatform: { os: "linux", architecture: "amd64" },
    noCache: false,
    network: "default",
    extraHosts: [],
    ulimits: [],
    shmSizeBytes: undefined,
    cgroupParent: undefined,
    ...changes,
  };
}

/** A bridge to images by their full names, files by `context/path` and times by identifiers, and what it was asked for. */
export interface FakeBridge extends FrontendBridge {
  readonly asked: string[];
  readonly warnings: Diagnostic[];
}

export function fakeBridge(
  images: Readonly<Record<string, ImageConfig>> = { "docker.io/library/base:latest": baseImage() },
  files: Readonly<Record<string, string>> = {},
  times: Readonly<Record<string, Date>> = {},
): FakeBridge {
  const asked: string[] = [];
  const warnings: Diagnostic[] = [];
  return {
    asked,
    warnings,
    async resolveImageConfig(identifier, platform) {
      const name = identifier.replace(/^[a-z-]+:\/\//, "");
      asked.push(`${name} ${platform.os}/${platform.architecture}`);
      const config = images[name];
      if (config === undefined) throw new EngineError("not-found", `${name}: not found`);
      return { identifier: `${identifier}@${digest(name)}`, digest: digest(name), config };
    },
    async readFile(context, path) {
      const text = files[`${context}/${path}`];
      return text === undefined ? undefined : Buffer.from(text);
    },
    sourceTime: async ({ identifier }) => times[identifier],
    warn: (diagnostic) => warnings.push(diagnostic),
  };
}

/** The image of a Dockerfile for one platform. */
export async function convert(
  text: string,
  changes: Partial<FrontendRequest> = {},
  bridge: FrontendBridge = fakeBridge(),
): Promise<FrontendImage> {
  const { images } = await createDockerfileFrontend().solve(requestFor(text, changes), bridge);
  const [image] = images;
  if (image === undefined) throw new Error("no image");
  return image;
}

/** What is said of a Dockerfile that is refused. */
export async function refusal(
  text: string,
  changes: Partial<FrontendRequest> = {},
  bridge = fakeBridge(),
): Promise<Diagnostic> {
  try {
    await convert(text, changes, bridge);
  } catch (error) {
    if (error instanceof DiagnosticError && error.diagnostics[0] !== undefined) return error.diagnostics[0];
    throw error;
  }
  throw new Error("was not refused");
}

/** The nodes of KIND, by the name they are shown as. */
export function nodesNamed(definition: Definition, kind: OpNode["op"]["kind"]): ReadonlyMap<string, OpNode> {
  const found = [...definition.nodes].filter(([, node]) => node.op.kind === kind);
  return new Map(found.map(([at, node]) => [definition.metadata.get(at)?.name ?? "", node]));
}
