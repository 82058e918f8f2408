import { describe, expect, it } from "vitest";
import { EngineError } from "../../src/base/index.js";
import {
  contextSource,
  createDockerfileFrontend,
  type FrontendRequest,
  type NamedContext,
} from "../../src/frontend/index.js";
import { baseImage, convert, digest, fakeBridge, nodesNamed, refusal, requestFor } from "./convert-fixture.js";

const lines = (...text: readonly string[]) => text.join("\n");

const WINDOWS = { os: "windows", architecture: "amd64" };

function contexts(named: Readonly<Record<string, NamedContext>>): Partial<FrontendRequest> {
  return { contexts: new Map(Object.entries(named)) };
}

describe("base images", () => {
  it("are resolved once each, and only for stages that the target needs", async () => {
    const images = { "docker.io/library/a:latest": baseImage(), "ghcr.io/x/b:2": baseImage() };
    const bridge = fakeBridge(images);
    const text = lines(
      "FROM a AS one",
      "FROM a AS two",
      "FROM ghcr.io/x/b:2 AS three",
      "FROM gone AS unused",
      "FROM one",
    );
    await convert(
      lines(text, "COPY --from=two /f /", "COPY --from=ghcr.io/x/b:2 /g /", "COPY --from=a:latest /h /"),
      {},
      bridge,
    );
    expect(bridge.asked.sort()).toEqual(["docker.io/library/a:latest linux/amd64", "ghcr.io/x/b:2 linux/amd64"]);
  });

  it("are pinned by what the bridge found", async () => {
    const { definition, config } = await convert("FROM base");
    const reference = `docker.io/library/base:latest@${digest("docker.io/library/base:latest")}`;
    expect(nodesNamed(definition, "source").get(`FROM ${reference}`)).toBeUndefined();
    expect(nodesNamed(definition, "source").get(`[1/1] FROM ${reference}`)?.op).toMatchObject({
      identifier: `docker-image://${reference}`,
    });
    expect(config.created).toBeUndefined();
    expect(config.rootfs.diff_ids).toHaveLength(1);
  });

  it("that cannot be found are told by the name as written, with a near one", async () => {
    const found = await refusal("# comment\nFROM alpin AS x");
    expect(found).toMatchObject({
      message: "alpin: docker.io/library/alpin:latest: not found (did you mean alpine?)",
      location: { file: "Dockerfile", startLine: 2, endLine: 2 },
      culprit: { start: { line: 2, character: 5 }, end: { line: 2, character: 10 } },
    });
  });

  it("without layers are an empty file system that keeps its settings", async () => {
    const empty = {
      ...baseImage({ Labels: { a: "1" } }),
      rootfs: { type: "layers" as const, diff_ids: [] },
      history: [],
    };
    const { definition, config } = await convert(
      "FROM base",
      {},
      fakeBridge({ "docker.io/library/base:latest": empty }),
    );
    expect(definition.root).toBeUndefined();
    expect(config.config.Labels).toEqual({ a: "1" });
  });

  it("fire their ONBUILD triggers, which may need more stages, and lose them", async () => {
    const images = {
      "docker.io/library/parent:latest": baseImage({ OnBuild: ["COPY --from=maker /m /m", "ENV A=1", "WORKDIR $A"] }),
      "docker.io/library/base:latest": baseImage(),
    };
    const text = lines("FROM base AS maker", "RUN make", "FROM parent", "RUN use");
    const { definition, config } = await convert(text, {}, fakeBridge(images));
    expect([...nodesNamed(definition, "file").keys()]).toEqual([
      "[stage-1 2/5] ONBUILD COPY --from=maker /m /m",
      "[stage-1 3/5] ONBUILD WORKDIR 1",
    ]);
    expect([...nodesNamed(definition, "exec").keys()]).toEqual(["[maker 2/2] RUN make", "[stage-1 4/5] RUN use"]);
    expect(config.config).not.toHaveProperty("OnBuild");
    expect(config.config.WorkingDir).toBe("/1");
  });

  it.each([
    ["NONSENSE x", "unknown instruction: NONSENSE"],
    ["FROM base", "onbuild trigger should be a single expression"],
    ["RUN a\nRUN b", "onbuild trigger should be a single expression"],
    ["", "onbuild trigger should be a single expression"],
    ["# nothing", "onbuild trigger should be a single expression"],
    ["RUN --bogus a", "unknown flag: --bogus"],
    ["COPY --from=9 a b", "invalid stage index 9"],
    ["RUN <<EOF\nno end", "unterminated heredoc"],
  ])("whose trigger is %j are refused where FROM stands", async (trigger, message) => {
    const images = { "docker.io/library/base:latest": baseImage({ OnBuild: [trigger] }) };
    const found = await refusal("\nFROM base", {}, fakeBridge(images));
    expect(found.message).toContain(message);
    expect(found.location).toMatchObject({ startLine: 2, endLine: 2 });
  });

  it("may hold triggers for those built upon the stage, and heredocs", async () => {
    const trigger = "RUN <<EOF\necho $A\nEOF\n";
    const images = { "docker.io/library/base:latest": baseImage({ OnBuild: ["ONBUILD LABEL a=1", trigger] }) };
    const text = lines("FROM base AS one", "FROM one AS two");
    const one = await convert(text, { target: "one" }, fakeBridge(images));
    expect(one.config.config.OnBuild).toEqual(["LABEL a=1"]);
    const [exec] = [...nodesNamed(one.definition, "exec").values()];
    expect(exec?.op).toMatchObject({ meta: { args: ["/bin/sh", "-c", "echo $A\n"] } });
    const two = await convert(text, { target: "two" }, fakeBridge(images));
    expect(two.config.config).toMatchObject({ Labels: { a: "1" } });
    expect(two.config.config).not.toHaveProperty("OnBuild");
  });

  it("for Windows are refused where they are named", async () => {
    const image = { ...baseImage(), os: "windows" };
    const bridge = fakeBridge({ "docker.io/library/base:latest": image });
    expect(await refusal("FROM scratch\nCOPY --from=base /a /b", {}, bridge)).toMatchObject({
      message: "base: images for Windows can't be used",
      location: { startLine: 2 },
    });
    expect(await refusal("FROM --platform=windows/amd64 scratch", { platforms: [WINDOWS] })).toMatchObject({
      message: "images for windows/amd64 can't be built",
      culprit: { start: { line: 1, character: 5 } },
    });
    expect((await refusal("FROM scratch\nCOPY a /", { platforms: [WINDOWS] })).message).toContain("windows/amd64");
  });

  it("keep the times of their history as Go writes them", async () => {
    const history = ["2017-07-14T02:40:00.120000000Z", "2017-07-14T02:40:00.000+00:00", "2017-07-14T02:40:00+02:00"];
    const image = { ...baseImage(), history: history.map((created) => ({ created, empty_layer: true })) };
    const { config } = await convert("FROM base", {}, fakeBridge({ "docker.io/library/base:latest": image }));
    expect(config.history.map(({ created }) => created)).toEqual([
      "2017-07-14T02:40:00.12Z",
      "2017-07-14T02:40:00Z",
      "2017-07-14T02:40:00+02:00",
    ]);
  });
});

describe("named contexts", () => {
  it("replace an image by any spelling of its name, one for the platform going first", async () => {
    const named = contexts({
      "docker.io/library/tools": { kind: "image", reference: "plain" },
      "tools::linux/amd64": { kind: "image", reference: "special:2" },
    });
    const bridge = fakeBridge({ "docker.io/library/special:2": baseImage() });
    const { definition } = await convert("FROM tools:latest", named, bridge);
    expect(bridge.asked).toEqual(["docker.io/library/special:2 linux/amd64"]);
    expect([...nodesNamed(definition, "source").keys()][0]).toMatch(/^\[context tools::linux\/amd64\] docker\.io/);
  });

  it("replace a whole stage, whose steps then need nothing", async () => {
    const named = contexts({ maker: { kind: "local", name: "maker-dir" } });
    const bridge = fakeBridge(undefined, { "maker-dir/.dockerignore": "*.log\n" });
    const text = lines(
      "FROM gone AS maker",
      "COPY --from=nowhere /x /y",
      "FROM base",
      "COPY --from=maker /made sub/ /r/",
    );
    const { definition } = await convert(text, named, bridge);
    expect(nodesNamed(definition, "source").get("[context maker] load from client")?.op).toEqual({
      kind: "source",
      identifier: "local://maker-dir",
      attrs: { "local.excludepatterns": '["*.log"]', "local.followpaths": '["made","sub"]' },
    });
  });

  it("that are a directory may be what a stage begins with, whole if it is the target", async () => {
    const { definition, config } = await convert(
      "FROM dir\nENV A=1",
      contexts({ dir: { kind: "local", name: "dir" } }),
    );
    expect([...definition.nodes.values()]).toEqual([
      { op: { kind: "source", identifier: "local://dir", attrs: {} }, inputs: [] },
    ]);
    expect(config.config.Env).toEqual(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1"]);
  });

  it("of another stage put it in the place of an image or of a whole stage", async () => {
    const named = contexts({ tools: { kind: "target", stage: "Made" }, later: { kind: "target", stage: "made" } });
    const text = lines(
      "FROM base AS made",
      "ENV A=1",
      "ONBUILD LABEL made=yes",
      "RUN make",
      "FROM gone AS later",
      "RUN nothing",
      "FROM tools",
      "COPY --from=tools:latest /a /b",
      "COPY --from=later /a /c",
    );
    const { definition, config } = await convert(text, named);
    expect([...nodesNamed(definition, "exec").keys()]).toEqual(["[made 2/2] RUN make"]);
    expect(config.config).toMatchObject({ Env: [expect.stringMatching(/^PATH=/), "A=1"], Labels: { made: "yes" } });
    const [copy] = [...nodesNamed(definition, "file").values()];
    expect(copy?.inputs).toHaveLength(1);
  });

  it("of a stage that is not there, or only later, are refused", async () => {
    const refused = async (stage: string) =>
      refusal("FROM tools\nFROM base AS made", contexts({ tools: { kind: "target", stage } }));
    expect((await refused("mode")).message).toBe(
      'named context tools stands for stage "mode": there is no such stage (did you mean made?)',
    );
    expect(await refused("made")).toMatchObject({
      message: 'named context tools stands for stage "made": it needs to be defined before it is used',
      location: { startLine: 1 },
    });
  });

  it("of a repository or a download are what it gives", async () => {
    const git = contextSource("https://example.org/r.git?subdir=s#v1");
    const file = contextSource("http://example.org/archive.tar.gz");
    if (git === undefined || file === undefined) throw new Error("no sources");
    const named = contexts({ repo: { kind: "source", op: git }, file: { kind: "source", op: file } });
    const { definition, config } = await convert("FROM repo\nCOPY --from=file /context /f", named);
    expect([...nodesNamed(definition, "source").values()].map(({ op }) => op)).toEqual([
      {
        kind: "source",
        identifier: "git://example.org/r.git#v1:s",
        attrs: expect.objectContaining({ "git.fullurl": "https://example.org/r.git" }),
      },
      {
        kind: "source",
        identifier: "http://example.org/archive.tar.gz",
        attrs: { "http.filename": "context" },
      },
    ]);
    expect(config.config.WorkingDir).toBe("/");
  });

  it("cannot take the place of scratch or of the main context", async () => {
    const named = contexts({
      scratch: { kind: "image", reference: "base" },
      context: { kind: "image", reference: "base" },
    });
    const { definition } = await convert("FROM scratch\nCOPY a /", named);
    expect([...nodesNamed(definition, "source").keys()]).toEqual(["[internal] load build context"]);
  });
});

describe("names of stages", () => {
  it("that are refused are refused in stages that nobody needs as well", async () => {
    expect((await refusal("FROM base\nCOPY --from=7 /a /b\nFROM base")).message).toBe("invalid stage index 7");
  });

  it("that no image could have are refused", async () => {
    expect((await refusal("FROM base AS a.-b")).message).toBe("invalid context name a.-b: invalid reference format");
  });

  it("are suggested where nothing else was found by a name, whatever the reason", async () => {
    const bridge = {
      ...fakeBridge(),
      resolveImageConfig: async () => {
        throw new EngineError("unavailable", "no network");
      },
    };
    const text = "FROM scratch AS source\nFROM scratch\nCOPY --from=sorce /a /b";
    await expect(convert(text, {}, bridge)).rejects.toMatchObject({
      message: "sorce: no network (did you mean source?)",
      diagnostics: [{ culprit: { start: { line: 3, character: 5 }, end: { line: 3, character: 17 } } }],
    });
    expect((await refusal("FROM scratch AS source\nFROM scratch\nCOPY --from=Sorce /a /b")).message).toContain(
      "(did you mean source?)",
    );
    expect((await refusal("FROM scratch AS source\nRUN --mount=from=soucre,target=/a b")).message).toBe(
      "soucre: docker.io/library/soucre:latest: not found (did you mean source?)",
    );
  });

  it("hint at the variable that was meant", async () => {
    expect((await refusal("ARG VERSION=1\nFROM alpine:$VERSON")).message).toBe(
      'failed to parse stage name "alpine:": invalid reference format (did you mean VERSION?)',
    );
    expect((await refusal("ARG BASE=base\nFROM $BSE")).message).toBe(
      "base name ($BSE) should not be blank (did you mean BASE?)",
    );
    expect((await refusal("FROM --platform=$BULIDPLATFORM base")).message).toBe(
      "empty platform value from expression $BULIDPLATFORM (did you mean BUILDPLATFORM?)",
    );
  });

  it("cannot form a circle", async () => {
    const text = lines(
      "FROM base AS a",
      "COPY --from=b /x /",
      "FROM base AS b",
      "RUN --mount=from=a,target=/m true",
      "FROM base",
    );
    expect(await refusal(text)).toMatchObject({
      message: "circular dependency detected on stage: a",
      location: { startLine: 4 },
    });
  });

  it("are suggested for a target that is nearly one", async () => {
    await expect(convert("FROM base AS builder\nFROM base", { target: "bulder" })).rejects.toThrow(
      'target stage "bulder" could not be found (did you mean builder?)',
    );
  });

  it("may not be used before their stage, by mounts neither", async () => {
    const text = lines("FROM base AS one", "RUN --mount=from=two,target=/m true", "FROM base AS two", "FROM one");
    expect((await refusal(text)).message).toBe(
      'cannot mount from stage "two" to "/m", stage needs to be defined before current command',
    );
  });
});

describe("platforms", () => {
  it("share the vertices that do not depend on them, and name the others", async () => {
    const text = lines(
      "FROM --platform=$BUILDPLATFORM base AS build",
      "ARG TARGETARCH",
      "RUN make $TARGETARCH",
      "FROM base",
      "COPY --from=build /out /",
      "COPY data /",
    );
    const request = requestFor(text, {
      platforms: [
        { os: "linux", architecture: "amd64" },
        { os: "linux", architecture: "arm64" },
      ],
    });
    const { images } = await createDockerfileFrontend().solve(request, fakeBridge());
    const [amd64, arm64] = images;
    const names = [...(arm64?.definition.metadata.values() ?? [])].map(({ name }) => name.replace(/@sha256:\w+/, ""));
    expect(names).toEqual([
      "[linux/arm64 stage-1 1/3] FROM docker.io/library/base:latest",
      "[linux/amd64 build 1/2] FROM docker.io/library/base:latest",
      "[linux/amd64->arm64 build 2/2] RUN make arm64",
      "[linux/arm64 stage-1 2/3] COPY --from=build /out /",
      "[internal] load build context",
      "[linux/arm64 stage-1 3/3] COPY data /",
    ]);
    const shared = [...(amd64?.definition.nodes.keys() ?? [])].filter((key) => arm64?.definition.nodes.has(key));
    expect(shared).toHaveLength(2);
    expect(arm64).toMatchObject({
      platform: { os: "linux", architecture: "arm64" },
      config: { architecture: "arm64" },
    });
  });
});
