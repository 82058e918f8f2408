import { describe, expect, it } from "vitest";
import {
  type BuildRecord,
  imagePackageUrl,
  parseProvenanceOptions,
  parseSbomOptions,
  provenance,
  statementOf,
} from "../../src/attest/index.js";
import { digestOf, redactCredentials } from "../../src/base/index.js";
import { definitionOf, execState, scratch, wireGraph } from "../../src/llb/index.js";

const DIGEST = digestOf("base");
const AMD64 = { os: "linux", architecture: "amd64" };
const RECORD: BuildRecord = {
  images: [
    { reference: `docker.io/library/alpine:3@${DIGEST}`, platform: AMD64, digest: DIGEST, isLocal: false },
    { reference: "layout:latest", platform: undefined, digest: undefined, isLocal: true },
  ],
  repositories: [{ url: "https://git.example/r.git#main", commit: "a".repeat(40) }],
  downloads: [{ url: "https://example.com/f", digest: DIGEST }],
  locals: ["context", "dockerfile"],
  secrets: [{ id: "token", optional: false }],
  agents: [{ id: "default", optional: true }],
  usedNetwork: true,
  args: { target: "app", "build-arg:V": "1", "label:who": "me" },
  context: undefined,
  dockerfile: { name: "Dockerfile", text: "FROM alpine\n" },
  builderPlatform: "linux/amd64",
  graph: wireGraph({ nodes: new Map(), root: undefined, metadata: new Map() }),
  redact: (text) => text,
  invocationId: "id",
  startedAt: Date.UTC(2024, 0, 1),
  finishedAt: Date.UTC(2024, 0, 1, 0, 0, 1),
};

const predicate = (attributes: Record<string, string>, changes: Partial<BuildRecord> = {}) =>
  JSON.parse(JSON.stringify(provenance({ ...RECORD, ...changes }, parseProvenanceOptions(attributes)).predicate([])));

describe("provenance", () => {
  it("names what the build was made from by digests", () => {
    expect(predicate({ mode: "min" }).buildDefinition.resolvedDependencies).toEqual([
      { uri: `pkg:docker/alpine@3?digest=${DIGEST}&platform=linux%2Famd64`, digest: { sha256: DIGEST.slice(7) } },
      { uri: "pkg:oci/layout@latest" },
      { uri: "https://git.example/r.git#main", digest: { sha1: "a".repeat(40) } },
      { uri: "https://example.com/f", digest: { sha256: DIGEST.slice(7) } },
    ]);
  });

  it("keeps arguments, labels, secrets, agents and the Dockerfile to itself in its short form, and says so", () => {
    const { buildDefinition, runDetails } = predicate({ mode: "min" });
    expect(buildDefinition.externalParameters).toEqual({
      configSource: { path: "Dockerfile" },
      request: {
        frontend: "dockerfile.v0",
        args: { target: "app" },
        locals: [{ name: "context" }, { name: "dockerfile" }],
      },
    });
    expect(buildDefinition.internalParameters).toEqual({ builderPlatform: "linux/amd64" });
    expect(runDetails.metadata).toEqual({
      invocationId: "id",
      startedOn: "2024-01-01T00:00:00.000Z",
      finishedOn: "2024-01-01T00:00:01.000Z",
      buildkit_metadata: {},
      buildkit_completeness: { request: false, resolvedDependencies: false },
    });
  });

  it("masks in its long form the credentials of addresses in the Dockerfile and its steps", () => {
    const address = "https://usr:pa55w0rd@host/x";
    const meta = { args: ["/bin/sh", "-c", `curl ${address}`], env: [], cwd: "/", user: "" };
    const spec = { meta, mounts: [], network: "sandbox", security: "sandbox" } as const;
    const options = { metadata: { name: "run", location: undefined, ignoreCache: false }, platform: undefined };
    const definition = definitionOf(execState(scratch, spec, options));
    const text = `FROM alpine\nRUN curl ${address}\n`;
    const all = predicate(
      {},
      { dockerfile: { name: "D", text }, graph: wireGraph(definition), redact: redactCredentials },
    );
    const { infos } = all.runDetails.metadata.buildkit_metadata.source;
    const kept = Buffer.from(infos[0].data, "base64").toString();
    expect(kept).toBe("FROM alpine\nRUN curl https://xxxxx@host/x\n");
    const steps = JSON.stringify(all.buildDefinition.internalParameters);
    expect(steps).toContain("curl https://xxxxx@host/x");
    expect(steps).not.toContain("pa55w0rd");
  });

  it("tells all in its long form, which is what it has unless another is asked for", () => {
    const { buildDefinition, runDetails } = predicate({ "builder-id": "https://ci.example", reproducible: "true" });
    expect(buildDefinition.externalParameters.request).toMatchObject({
      args: { target: "app", "build-arg:V": "1", "label:who": "me" },
      secrets: [{ id: "token" }],
      ssh: [{ id: "default", optional: true }],
    });
    expect(buildDefinition.internalParameters.buildConfig.llbDefinition).toEqual([]);
    const [info] = runDetails.metadata.buildkit_metadata.source.infos;
    expect(Buffer.from(info.data, "base64").toString()).toBe("FROM alpine\n");
    expect(runDetails).toMatchObject({
      builder: { id: "https://ci.example" },
      metadata: { buildkit_reproducible: true, buildkit_completeness: { request: true } },
    });
  });

  it("says that a build without a directory and a network is hermetic", () => {
    const { metadata } = predicate({}, { locals: [], usedNetwork: false }).runDetails;
    expect(metadata).toMatchObject({ buildkit_hermetic: true, buildkit_completeness: { resolvedDependencies: true } });
  });

  it("has the form of SLSA 0.2 where that is asked for", () => {
    const old = predicate({ version: "v0.2", mode: "min" });
    expect(old).toMatchObject({
      buildType: "https://mobyproject.org/buildkit@v1",
      invocation: { configSource: { entryPoint: "Dockerfile" }, environment: { platform: "linux/amd64" } },
      metadata: { buildInvocationID: "id", completeness: { parameters: false, environment: true, materials: false } },
    });
    expect(old.materials).toHaveLength(4);
  });

  it("is a statement about its subjects", () => {
    const attestation = provenance(RECORD, parseProvenanceOptions({}));
    expect(statementOf(attestation, [{ name: "x", digest: DIGEST }], [])).toMatchObject({
      _type: "https://in-toto.io/Statement/v1",
      predicateType: "https://slsa.dev/provenance/v1",
      subject: [{ name: "x", digest: { sha256: DIGEST.slice(7) } }],
    });
  });
});

it.each([
  ["alpine", "pkg:docker/alpine@latest"],
  ["library/alpine:3.15", "pkg:docker/alpine@3.15"],
  [`alpine@${DIGEST}`, `pkg:docker/alpine?digest=${DIGEST}`],
  ["user/test:v2", "pkg:docker/user/test@v2"],
  ["ghcr.io/foo/bar", "pkg:docker/ghcr.io/foo/bar@latest"],
])("the image %s is %s as a package", (reference, url) => expect(imagePackageUrl(reference, undefined)).toBe(url));

it.each<[() => unknown, string]>([
  [() => parseProvenanceOptions({ mode: "some" }), 'invalid mode "some"'],
  [() => parseProvenanceOptions({ version: "v2" }), "invalid provenance SLSA version: v2"],
  [() => parseProvenanceOptions({ reproducible: "perhaps" }), "failed to parse reproducible flag"],
  [() => parseProvenanceOptions({ moed: "min" }), 'unknown attribute "moed"'],
  [() => parseSbomOptions({ generator: "scanner:1" }), "the generator scanner:1 can't be used"],
])("what can't be made is refused (%#)", (parse, sentence) => expect(parse).toThrow(sentence));
