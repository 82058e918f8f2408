import { beforeEach, expect, test } from "vitest";
import { spdxProblems } from "../attest/spdx-rules.js";
import { startRegistry } from "../registry/docker-registry.js";
import { needs, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

type Json = ReturnType<typeof JSON.parse>;

/** What `docker buildx imagetools inspect` finds of an image's platforms, by the rules it goes by. */
class Loaded {
  readonly images = new Map<string, { readonly digest: string; readonly manifest: Json }>();
  readonly manifests = new Map<string, Json>();
  readonly about = new Map<string, string[]>();
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  async get(kind: "manifests" | "blobs", name: string): Promise<Json> {
    const accept = ["index", "manifest"].map((each) => `application/vnd.oci.image.${each}.v1+json`).join(", ");
    const response = await fetch(`${this.#base}/${kind}/${name}`, { headers: kind === "manifests" ? { accept } : {} });
    expect(response.status).toBe(200);
    return response.json();
  }

  async load(reference: string, descriptor: Json = {}): Promise<this> {
    const document = await this.get("manifests", reference);
    if (document.manifests !== undefined) {
      for (const each of document.manifests) await this.load(each.digest, each);
      return this;
    }
    const { annotations = {}, digest, platform } = descriptor;
    this.manifests.set(digest, document);
    const subject = annotations["vnd.docker.reference.digest"];
    if (subject === undefined)
      this.images.set(`${platform.os}/${platform.architecture}`, { digest, manifest: document });
    else this.about.set(subject, [...(this.about.get(subject) ?? []), digest]);
    return this;
  }

  /** The first statement about PLATFORM whose predicate type begins so. */
  async said(platform: string, type: string): Promise<Json> {
    const { digest = "" } = this.images.get(platform) ?? {};
    for (const about of this.about.get(digest) ?? [])
      for (const layer of this.manifests.get(about).layers)
        if (
          layer.mediaType === "application/vnd.in-toto+json" &&
          layer.annotations["in-toto.io/predicate-type"].startsWith(type)
        )
          return this.get("blobs", layer.digest);
    return undefined;
  }
}

test("what is said of each platform is found where buildx looks for it, and tells of no secret", async (context) => {
  needs(context, "docker-registry", "skopeo");
  await using registry = await startRegistry("plain");
  const name = `${registry.name}/app`;
  const directory = world.files({
    Dockerfile: "FROM scratch\nARG TOKEN\nCOPY package-lock.json /app/\n",
    "package-lock.json": '{"packages":{"node_modules/left-pad":{"version":"1.3.0"}}}',
  });
  const flags = [
    "--push",
    "-t",
    `${name}:1`,
    "--platform",
    "linux/amd64,linux/arm64",
    "--provenance=mode=min",
    "--sbom=true",
  ];
  const metadata = world.path("meta.json");
  const built = await world.build([
    ...flags,
    "--build-arg",
    "TOKEN=hidden-value",
    "--metadata-file",
    metadata,
    directory,
  ]);
  expect(built).toMatchObject({ code: 0 });
  const loaded = await new Loaded(`http://${registry.name}/v2/app`).load("1");
  expect([...loaded.images.keys()]).toEqual(["linux/amd64", "linux/arm64"]);
  for (const [platform, { digest, manifest }] of loaded.images) {
    const config = await loaded.get("blobs", manifest.config.digest);
    expect(`${config.os}/${config.architecture}`).toBe(platform);
    const provenance = await loaded.said(platform, "https://slsa.dev/provenance/");
    const sbom = await loaded.said(platform, "https://spdx.dev/Document");
    const subject = [
      {
        name: `pkg:docker/${registry.name}/app@1?platform=${encodeURIComponent(platform)}`,
        digest: { sha256: digest.slice(7) },
      },
    ];
    for (const statement of [provenance, sbom])
      expect(statement).toMatchObject({ _type: "https://in-toto.io/Statement/v1", subject });
    expect(provenance.predicate.buildDefinition.buildType).toContain("moby/buildkit");
    expect(JSON.stringify(provenance)).not.toContain("hidden-value");
    expect(spdxProblems(sbom.predicate)).toEqual([]);
    expect(JSON.stringify(sbom.predicate)).toContain("pkg:npm/left-pad@1.3.0");
    const [about = ""] = loaded.about.get(digest) ?? [];
    const empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    expect(loaded.manifests.get(about)).toMatchObject({
      artifactType: "application/vnd.docker.attestation.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.empty.v1+json", digest: empty, size: 2, data: "e30=" },
      subject: { digest },
    });
  }
  const architecture = ["--override-arch", "arm64", "--override-os", "linux"];
  const inspected = await run(["skopeo", ...architecture, "inspect", "--tls-verify=false", `docker://${name}:1`]);
  expect(JSON.parse(inspected.stdout)).toMatchObject({ Architecture: "arm64", Layers: expect.any(Array) });
});
