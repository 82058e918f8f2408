import { describe, expect, it } from "vitest";
import { digestOf, EngineError } from "../../src/base/index.js";
import type { ImageDetails, StoredImage } from "../../src/engine/image-requests.js";
import { finished } from "./world.js";

const now = Date.parse("2024-01-02T03:04:05.000Z");
const day = 24 * 60 * 60 * 1000;
const usual = { labels: {}, platforms: ["linux/amd64"] };
const list: readonly StoredImage[] = [
  {
    ...usual,
    name: "docker.io/library/app:latest",
    imageId: digestOf("app"),
    digest: digestOf("m"),
    sizeBytes: 7_500_000,
    createdAt: now - 3 * day,
  },
  {
    ...usual,
    name: "reg.example:5000/team/tool:1.2",
    imageId: digestOf("tool"),
    digest: digestOf("n"),
    sizeBytes: 900,
    createdAt: undefined,
  },
  { ...usual, name: undefined, imageId: digestOf("old"), digest: digestOf("o"), sizeBytes: 900, createdAt: now - 1000 },
];
const engine = { images: { list } };
const short = (text: string) => digestOf(text).slice("sha256:".length, "sha256:".length + 12);

const details: ImageDetails = {
  imageId: digestOf("app"),
  names: ["docker.io/library/app:1", "docker.io/library/app:latest"],
  repositoryDigests: [`docker.io/library/app@${digestOf("m")}`, `localhost:5000/team/app@${digestOf("packed")}`],
  digest: digestOf("m"),
  descriptor: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 500 },
  platform: "linux/amd64",
  config: {
    os: "linux",
    architecture: "amd64",
    created: "2024-01-01T00:00:00Z",
    config: { Env: ["A=b", "C=d"], Labels: { who: "me" } },
    rootfs: { type: "layers", diff_ids: [digestOf("base"), digestOf("top")] },
    history: [
      { created_by: "base rootfs", created: "2023-12-01T00:00:00Z" },
      { created_by: `RUN ${"x".repeat(60)}`, created: "2024-01-01T00:00:00Z", comment: "buildkit.dockerfile.v0" },
      { created_by: "CMD x", created: "2024-01-01T00:00:00Z", empty_layer: true },
    ],
  },
  layers: [
    { digest: digestOf("b"), diffId: digestOf("base"), sizeBytes: 1_000_000 },
    { digest: digestOf("t"), diffId: digestOf("top"), sizeBytes: 2048 },
  ],
  sizeBytes: 1_002_048,
  taggedAt: now,
};

describe("ashlar images", () => {
  it("lists images as docker does, those without a name too", async () => {
    const { out } = await finished(["images"], { engine });
    const [heading, app, tool, none] = out.split("\n");
    expect(heading).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/);
    expect(app).toMatch(/^app +latest +[0-9a-f]{12} +3 days ago +7\.50MB$/);
    expect(tool).toMatch(/^reg\.example:5000\/team\/tool +1\.2 +[0-9a-f]{12} +N\/A +900B$/);
    expect(none).toMatch(/^<none> +<none> +[0-9a-f]{12} +1 second ago +900B$/);
  });

  it.each([
    [["-q"], `${short("app")}\n${short("tool")}\n${short("old")}\n`],
    [["--format", "{{.Repository}}:{{.Tag}}"], "app:latest\nreg.example:5000/team/tool:1.2\n<none>:<none>\n"],
    [["--format", "{{.ID}} {{.Size}}", "-q"], `${short("app")} 7.50MB\n${short("tool")} 900B\n${short("old")} 900B\n`],
    [["--format", "{{.CreatedAt}}"], "2023-12-30 03:04:05 +0000 UTC\nN/A\n2024-01-02 03:04:04 +0000 UTC\n"],
    [["--format", "table {{.Tag}}\\t{{.Size}}"], "TAG      SIZE\nlatest   7.50MB\n1.2      900B\n<none>   900B\n"],
  ])("shows with %j what docker shows", async (words, out) => {
    expect(await finished(["images", ...words], { engine })).toMatchObject({ code: 0, out });
    expect(await finished(["image", "ls", ...words], { engine })).toMatchObject({ code: 0, out });
    expect(await finished(["image", "list", ...words], { engine })).toMatchObject({ code: 0, out });
  });

  it("shows digests, whole ids and JSON", async () => {
    const { out } = await finished(["images", "--digests", "--no-trunc"], { engine });
    expect(out.split("\n")[0]).toMatch(/^REPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE$/);
    expect(out).toContain(`${digestOf("m")}   ${digestOf("app")}`);
    const json = await finished(["images", "--format", "json"], { engine });
    expect(JSON.parse(json.out.split("\n")[0] ?? "")).toMatchObject({
      Repository: "app",
      Tag: "latest",
      Size: "7.50MB",
    });
  });

  it("asks the engine for what the filters say", async () => {
    const filters = ["reference=app*", "dangling=false", "label=a=b", "before=x", "since=y", "until=24h"];
    const { calls } = await finished(["images", ...filters.flatMap((filter) => ["-f", filter]), "tool"], { engine });
    expect(calls).toMatchObject([
      {
        list: {
          references: ["app*", "tool"],
          dangling: false,
          labels: ["a=b"],
          before: ["x"],
          since: ["y"],
          until: now - day,
        },
      },
    ]);
  });

  it.each(["until=soon", "until=2024-13-01", "dangling=perhaps", "nothing"])(
    "refuses the filter %s",
    async (filter) => {
      expect((await finished(["images", "--filter", filter], { engine })).code).toBe(125);
    },
  );
});

describe("ashlar inspect and history", () => {
  const described = { images: { details } };

  it("shows an image in docker's shape", async () => {
    const { out } = await finished(["inspect", "app"], { engine: described });
    expect(JSON.parse(out)).toMatchObject([
      {
        Id: digestOf("app"),
        RepoTags: ["app:1", "app:latest"],
        RepoDigests: [`app@${digestOf("m")}`, `localhost:5000/team/app@${digestOf("packed")}`],
        Config: { Env: ["A=b", "C=d"], Labels: { who: "me" }, Cmd: null },
        Os: "linux",
        Architecture: "amd64",
        RootFS: { Type: "layers", Layers: [digestOf("base"), digestOf("top")] },
      },
    ]);
    const format = '{{.Id}} {{index .Config.Labels "who"}} {{.Config.Labels.none}} {{json .Config.Env}}';
    const formatted = await finished(["image", "inspect", "-f", format, "app"], { engine: described });
    expect(formatted.out).toBe(`${digestOf("app")} me <no value> ["A=b","C=d"]\n`);
  });

  it.each([
    ["{{range $p, $c := .Config.ExposedPorts}}{{$p}}{{end}}", ""],
    ["{{if .Config.Healthcheck}}yes{{else}}no{{end}}", "no"],
    ["{{.Config.Healthcheck}} {{.Config.Volumes}} {{.Config.Entrypoint}}", "<nil> map[] []"],
    ["{{json .Config.Volumes}} {{json .Config.Entrypoint}}", "null null"],
    ["[{{.Parent}}{{.DockerVersion}}{{.Config.Hostname}}] {{.VirtualSize}} {{.GraphDriver.Name}}", "[] 1002048 "],
  ])("fills in %s as docker does where an image says nothing of it", async (format, out) => {
    const ended = await finished(["inspect", "-f", format, "app"], { engine: described });
    expect(ended).toMatchObject({ code: 0, out: `${out}\n` });
  });

  it("shows no member that docker leaves out", async () => {
    const { out } = await finished(["inspect", "app"], { engine: described });
    expect(out).not.toMatch(/Healthcheck|ExposedPorts|Hostname|Parent|VirtualSize/);
  });

  it("shows the images that there are, and tells of the others", async () => {
    const ended = await finished(["inspect", "nothing"]);
    expect(ended).toMatchObject({ code: 1, out: "[]\n", err: "ERROR: No such image: nothing\n" });
  });

  it("shows the history, the last step first", async () => {
    const { out } = await finished(["history", "app"], { engine: described });
    const [heading, cmd, run, base] = out.split("\n");
    expect(heading).toMatch(/^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/);
    expect(cmd).toMatch(new RegExp(`^${short("app")} +.* ago +CMD x +0B$`));
    expect(run).toMatch(/^<missing> +.* ago +RUN x{40}… +2\.05kB +buildkit\.dockerfile\.v0$/);
    expect(base).toMatch(/^<missing> +.* ago +base rootfs +1\.00MB$/);
    const plain = await finished(["history", "--no-trunc", "--human=false", "app"], { engine: described });
    expect(plain.out).toMatch(/2024-01-01T00:00:00Z +RUN x{60} +2048 /);
    const sizes = await finished(["history", "--format", "{{.Size}}", "app"], { engine: described });
    expect(sizes.out).toBe("0B\n2.05kB\n1.00MB\n");
  });
});

describe("the commands that change the local store", () => {
  it("remove images, each for itself, in docker's words", async () => {
    const remove = async (image: string) => {
      if (image === "bad") throw new EngineError("not-found", "No such image: bad:latest");
      return { untagged: ["docker.io/library/app:latest"], deleted: [digestOf("app")] };
    };
    const images = { answers: { remove } };
    expect(await finished(["rmi", "bad", "app"], { engine: { images } })).toMatchObject({
      code: 1,
      out: `Untagged: app:latest\nDeleted: ${digestOf("app")}\n`,
      err: "ERROR: No such image: bad:latest\n",
    });
    expect(await finished(["image", "rm", "-f", "bad"], { engine: { images } })).toMatchObject({ code: 0, out: "" });
    const { calls } = await finished(["rmi", "--no-prune", "app"]);
    expect(calls).toEqual([{ remove: ["app", { force: false, keepContent: true }] }]);
  });

  it("prune after asking, and say what is gone", async () => {
    const prune = async () => ({
      untagged: ["docker.io/library/app:1"],
      deleted: [digestOf("app")],
      freedBytes: 1_500_000,
    });
    const pruned = { images: { answers: { prune } } };
    expect(await finished(["image", "prune", "-f"], { engine: pruned })).toMatchObject({
      code: 0,
      out: `Deleted Images:\nuntagged: app:1\ndeleted: ${digestOf("app")}\n\nTotal reclaimed space: 1.50MB\n`,
    });
    const asked = await finished(["image", "prune", "-a"], { stdin: ["n\n"], stdinIsTerminal: true });
    expect(asked).toMatchObject({ code: 0, calls: [], out: "" });
    expect(asked.err).toContain("WARNING! This will remove all images");
    const filtered = await finished(["image", "prune", "-f", "--filter", "until=1h", "--filter", "label!=keep"]);
    expect(filtered.calls).toMatchObject([
      { prune: { all: false, until: now - 3_600_000, withoutLabels: ["keep"], labels: undefined } },
    ]);
    expect((await finished(["image", "prune"])).code).toBe(125);
  });

  it("tag, save, load and import what the words say", async () => {
    expect((await finished(["tag", "app", "other:1"])).calls).toEqual([{ tag: ["app", "other:1"] }]);
    const saved = await finished(["save", "-o", "x.tar", "--platform", "linux/arm64", "a", "b"], { cwd: "/" });
    expect(saved.calls).toMatchObject([{ save: { images: ["a", "b"], dest: "/x.tar", platforms: ["linux/arm64"] } }]);
    const loaded = await finished(["load", "-i", "a.tar", "-t", "app:1"], { cwd: "/tmp" });
    expect(loaded).toMatchObject({ code: 0, out: "Loaded image: app:latest\n" });
    expect(loaded.calls).toMatchObject([{ load: { from: "/tmp/a.tar", name: "app:1" } }]);
    const imported = await finished(["import", "-c", "ENV A=b", "-m", "mine", "fs.tar", "fs:1"], { cwd: "/tmp" });
    expect(imported).toMatchObject({ code: 0, out: "sha256:imported\n" });
    expect(imported.calls).toMatchObject([
      { import: { from: "/tmp/fs.tar", name: "fs:1", changes: ["ENV A=b"], message: "mine" } },
    ]);
  });

  it("refuse terminals as archives, and directories that aren't there", async () => {
    expect(await finished(["save", "-o", "none/x.tar", "app"], { cwd: "/proc" })).toMatchObject({
      code: 1,
      err: 'ERROR: invalid output path: directory "/proc/none" does not exist\n',
    });
    const saved = await finished(["save", "app"], { stdoutIsTerminal: true });
    expect(saved.code).toBe(1);
    expect(saved.err).toContain("cowardly refusing to save to a terminal");
    const loaded = await finished(["load"], { stdinIsTerminal: true });
    expect(loaded).toMatchObject({ code: 1, err: "ERROR: requested load from stdin, but stdin is empty\n" });
  });

  it("pull and push, and tell the digest as docker does", async () => {
    expect(await finished(["pull", "alpine"])).toMatchObject({
      code: 0,
      out: "Digest: sha256:d\nStatus: Downloaded newer image for alpine\nalpine\n",
    });
    expect(await finished(["pull", "-a", "alpine"])).toMatchObject({
      code: 0,
      out: "1: digest: sha256:d\n2: digest: sha256:d\nStatus: Downloaded newer image for alpine\nalpine\n",
    });
    expect(await finished(["pull", "-q", "alpine"])).toMatchObject({ code: 0, out: "alpine\n", err: "" });
    expect(await finished(["push", "reg.example/app:1"])).toMatchObject({
      code: 0,
      out: "1: digest: sha256:d size: 3\n",
    });
  });
});
