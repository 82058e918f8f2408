import fs from "node:fs";
import { PassThrough, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type ExportStatus,
  exportDocker,
  exportOci,
  type ImageExport,
  type ImageOutput,
  parseImageOutput,
} from "../../src/exporters/index.js";
import type { Tree } from "../../src/snapshot/index.js";
import { AMD64, ARM64, entriesOf, image, run, sha256, Workshop } from "./workshop.js";

let shop: Workshop;
let tree: Tree;
beforeEach(async () => {
  shop = await Workshop.open();
  tree = await smallTree(shop);
});
afterEach(async () => {
  await shop[Symbol.asyncDispose]();
});

async function smallTree(at: Workshop): Promise<Tree> {
  const base = await at.layer([], "mkdir bin etc; echo a > bin/a; ln bin/a bin/b; ln -s a bin/c; echo gone > etc/gone");
  return at.layer(base, "mkdir -m 1777 tmp; mkdir etc; mknod etc/gone c 0 0; head -c 3000000 /dev/zero > zeros");
}

const output = (attributes: Readonly<Record<string, string>> = {}): ImageOutput => parseImageOutput("oci", attributes);

function request(destination: ImageExport["destination"], changes: Partial<ImageExport> = {}): ImageExport {
  return { images: [image(tree)], names: ["hello"], destination, output: output(), ...changes };
}

const readJson = (archive: string, name: string) => JSON.parse(run("tar", "-xOf", archive, name));

describe("an OCI archive", () => {
  it("holds a layout that skopeo reads and umoci unpacks", async () => {
    const file = shop.path("deep/er/out.tar");
    const { root, images, sizeBytes, names } = await exportOci(shop, request(file));
    expect(fs.statSync(file).size).toBe(sizeBytes);
    expect(names).toEqual(["docker.io/library/hello:latest"]);
    const seen = JSON.parse(run("skopeo", "inspect", `oci-archive:${file}:latest`));
    expect(seen).toMatchObject({ Digest: root.digest, Architecture: "amd64", Created: "2024-05-06T07:08:09.01Z" });
    expect(seen.Layers).toEqual(images[0]?.layers.map(({ descriptor }) => descriptor.digest));
    const layout = shop.path("layout");
    fs.mkdirSync(layout);
    run("tar", "-C", layout, "-xf", file);
    run("umoci", "unpack", "--image", `${layout}:latest`, shop.path("bundle"));
    const rootfs = shop.path("bundle/rootfs");
    expect(run("find", rootfs, "-printf", "%P %y %m\n").trimEnd().split("\n").sort()).toEqual([
      " d 755",
      "bin d 755",
      "bin/a f 644",
      "bin/b f 644",
      "bin/c l 777",
      "etc d 755",
      "tmp d 1777",
      "zeros f 644",
    ]);
    expect(fs.statSync(`${rootfs}/bin/a`).ino).toBe(fs.statSync(`${rootfs}/bin/b`).ino);
  });

  it("is dated and named in its index as BuildKit does it", async () => {
    const file = shop.path("out.tar");
    const { root } = await exportOci(shop, request(file, { names: ["reg.example:5000/a/b:v1", "hello"] }));
    const entry = (name: string, tag: string) => ({
      mediaType: root.mediaType,
      digest: root.digest,
      size: root.size,
      annotations: {
        "io.containerd.image.name": name,
        "org.opencontainers.image.created": "2024-05-06T07:08:09Z",
        "org.opencontainers.image.ref.name": tag,
      },
      platform: { architecture: "amd64", os: "linux" },
    });
    expect(readJson(file, "index.json")).toEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [entry("reg.example:5000/a/b:v1", "v1"), entry("docker.io/library/hello:latest", "latest")],
    });
    expect(readJson(file, "oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
    const bare = shop.path("bare.tar");
    await exportOci(shop, request(bare, { names: [], sourceDateEpoch: 1 }));
    expect(readJson(bare, "index.json").manifests[0].annotations).toEqual({
      "org.opencontainers.image.created": "1970-01-01T00:00:01Z",
    });
    await exportOci(shop, request(bare, { names: [], output: output({ name: "a,b:c" }) }));
    expect(readJson(bare, "index.json").manifests).toHaveLength(2);
  });

  it("is the same bytes for the same image, made twice and elsewhere", async () => {
    const [first, second, third] = [shop.path("1.tar"), shop.path("2.tar"), shop.path("3.tar")];
    await exportOci(shop, request(first));
    await exportOci(shop, request(second));
    expect(sha256(second)).toBe(sha256(first));
    await using other = await Workshop.open();
    await exportOci(other, { ...request(third), images: [image(await smallTree(other))] });
    expect(sha256(third)).toBe(sha256(first));
    expect(entriesOf(first).every((line) => line.includes("1970-01-01"))).toBe(true);
    const names = run("tar", "-tf", first).trimEnd().split("\n");
    expect(names).toEqual([...names].sort());
  });

  it("holds the images of all platforms behind one entry", async () => {
    const file = shop.path("out.tar");
    const { root } = await exportOci(shop, request(file, { images: [image(tree, {}, ARM64), image(tree, {}, AMD64)] }));
    const { manifests } = readJson(file, "index.json");
    expect(manifests).toMatchObject([{ digest: root.digest, mediaType: "application/vnd.oci.image.index.v1+json" }]);
    const inspect = (arch: string) =>
      JSON.parse(run("skopeo", `--override-arch=${arch}`, "inspect", `oci-archive:${file}`)).Architecture;
    expect([inspect("arm64"), inspect("amd64")]).toEqual(["arm64", "amd64"]);
  });

  it("of an image without layers can be read", async () => {
    const file = shop.path("out.tar");
    await exportOci(shop, request(file, { images: [image([])] }));
    expect(JSON.parse(run("skopeo", "inspect", `oci-archive:${file}`)).Layers ?? []).toEqual([]);
  });

  it("is written to a stream, which it ends", async () => {
    const stream = new PassThrough();
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    const { sizeBytes } = await exportOci(shop, request(stream));
    expect(stream.writableEnded).toBe(true);
    const file = shop.path("out.tar");
    await exportOci(shop, request(file));
    expect(Buffer.concat(chunks)).toHaveLength(sizeBytes);
    expect(Buffer.concat(chunks).equals(fs.readFileSync(file))).toBe(true);
  });

  it("fails as its stream does", async () => {
    const broken = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error("x"), { code: "EPIPE" })),
    });
    await expect(exportOci(shop, request(broken))).rejects.toMatchObject({ code: "EPIPE" });
  });

  it("takes the place of an older one, or leaves it alone if it fails", async () => {
    const file = shop.path("out.tar");
    fs.writeFileSync(file, "old", { mode: 0o600 });
    const controller = new AbortController();
    const onProgress = ({ id }: ExportStatus) => id === "sending tarball" && controller.abort();
    const aborted = exportOci(shop, request(file, { signal: controller.signal, onProgress }));
    await expect(aborted).rejects.toMatchObject({ code: "canceled" });
    expect(fs.readFileSync(file, "utf8")).toBe("old");
    const fresh = shop.path("new/dir/out.tar");
    await expect(exportOci(shop, request(fresh, { signal: AbortSignal.abort() }))).rejects.toMatchObject({
      code: "canceled",
    });
    expect(fs.existsSync(shop.path("new"))).toBe(false);
    await exportOci(shop, request(file));
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(shop.path("")).sort()).toEqual(["out.tar", "remote", "state"]);
  });

  it("leaves no file behind where a blob turns out to be damaged", async () => {
    const written = await exportOci(shop, request(shop.path("out.tar")));
    const [layer] = written.images[0]?.layers ?? [];
    const blob = shop.store.path(layer?.descriptor.digest ?? written.root.digest);
    fs.chmodSync(blob, 0o644);
    fs.writeFileSync(blob, Buffer.alloc(layer?.descriptor.size ?? 0));
    const file = shop.path("sub/out.tar");
    await expect(exportOci(shop, request(file))).rejects.toMatchObject({ code: "data-loss" });
    expect(fs.existsSync(shop.path("sub"))).toBe(false);
    await exportOci(shop, request(file));
    run("skopeo", "inspect", `oci-archive:${file}`);
  });

  it("goes to a device without replacing it, and not over a directory", async () => {
    await exportOci(shop, request("/dev/null"));
    expect(fs.statSync("/dev/null").isCharacterDevice()).toBe(true);
    await expect(exportOci(shop, request(shop.path("")))).rejects.toThrow("is a directory");
    fs.symlinkSync("target.tar", shop.path("link.tar"));
    fs.writeFileSync(shop.path("target.tar"), "");
    await exportOci(shop, request(shop.path("link.tar")));
    expect(fs.readlinkSync(shop.path("link.tar"))).toBe("target.tar");
    expect(fs.statSync(shop.path("target.tar")).size).toBeGreaterThan(0);
  });
});

describe("a docker archive", () => {
  it("is one that skopeo reads as such", async () => {
    const file = shop.path("out.tar");
    const { images, root } = await exportDocker(shop, request(file));
    expect(readJson(file, "manifest.json")).toEqual([
      {
        Config: `blobs/sha256/${images[0]?.config.digest.slice(7)}`,
        RepoTags: ["hello:latest"],
        Layers: images[0]?.layers.map(({ descriptor }) => `blobs/sha256/${descriptor.digest.slice(7)}`),
      },
    ]);
    const seen = JSON.parse(run("skopeo", "inspect", `docker-archive:${file}:hello:latest`));
    expect(seen).toMatchObject({ Architecture: "amd64" });
    expect(seen.Layers).toHaveLength(2);
    run("skopeo", "copy", "-q", `docker-archive:${file}`, `oci:${shop.path("copy")}:x`);
    run("umoci", "unpack", "--image", `${shop.path("copy")}:x`, shop.path("bundle"));
    expect(fs.readFileSync(shop.path("bundle/rootfs/bin/c"), "utf8")).toBe("a\n");
    expect(JSON.parse(run("skopeo", "inspect", `oci-archive:${file}:latest`)).Digest).toBe(root.digest);
  });

  it("without a name has no tags", async () => {
    const file = shop.path("out.tar");
    await exportDocker(shop, request(file, { names: [] }));
    expect(readJson(file, "manifest.json")[0].RepoTags).toBeNull();
    run("skopeo", "inspect", `docker-archive:${file}`);
  });

  it("holds uncompressed layers where that is asked for", async () => {
    const file = shop.path("out.tar");
    const uncompressed = output({ compression: "uncompressed", "oci-mediatypes": "false" });
    const { images } = await exportDocker(shop, request(file, { output: uncompressed }));
    for (const { descriptor, diffId } of images[0]?.layers ?? []) expect(descriptor.digest).toBe(diffId);
    run("skopeo", "copy", "-q", `docker-archive:${file}`, `oci:${shop.path("copy")}:x`);
  });

  it("holds one image only", async () => {
    const two = request(shop.path("out.tar"), { images: [image(tree), image(tree, {}, ARM64)] });
    await expect(exportDocker(shop, two)).rejects.toThrow(
      "docker exporter does not currently support exporting manifest lists",
    );
  });
});

describe("a layout directory", () => {
  it("is added to, an image of the same name replaced", async () => {
    const directory = shop.path("deep/layout");
    const put = (names: string[], images = [image(tree)]) =>
      exportOci(shop, request(directory, { names, images, output: output({ tar: "false" }) }));
    await put(["a:1"]);
    const other = [image(await shop.layer([], "echo other > f"))];
    await put(["b:1"], other);
    await put(["a:1"], other);
    await put([]);
    const { manifests } = JSON.parse(fs.readFileSync(`${directory}/index.json`, "utf8"));
    const names = manifests.map(({ annotations }: { annotations: Record<string, string> }) => [
      annotations["io.containerd.image.name"],
      annotations["org.opencontainers.image.ref.name"],
    ]);
    expect(names).toEqual([
      ["docker.io/library/b:1", "1"],
      ["docker.io/library/a:1", "1"],
      [undefined, "latest"],
    ]);
    run("umoci", "unpack", "--image", `${directory}:latest`, shop.path("bundle"));
    expect(fs.readFileSync(shop.path("bundle/rootfs/bin/a"), "utf8")).toBe("a\n");
  });

  it("is no stream", async () => {
    const wrong = request(new PassThrough(), { output: output({ tar: "false" }) });
    await expect(exportOci(shop, wrong)).rejects.toThrow("dest cannot be stdout for oci exporter");
  });
});
