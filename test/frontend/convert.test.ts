import { describe, expect, it } from "vitest";
import { checkDockerfile, createDockerfileFrontend, DiagnosticError } from "../../src/frontend/index.js";
import type { ExecOp, FileOp } from "../../src/llb/index.js";
import { baseImage, convert, fakeBridge, nodesNamed, refusal, requestFor } from "./convert-fixture.js";

const lines = (...text: readonly string[]) => text.join("\n");
const buildArgs = (args: Readonly<Record<string, string>>) => ({ buildArgs: new Map(Object.entries(args)) });

async function execs(...parameters: Parameters<typeof convert>): Promise<readonly ExecOp[]> {
  const { definition } = await convert(...parameters);
  return [...nodesNamed(definition, "exec").values()].map(({ op }) => op as ExecOp);
}

async function fileActions(text: string): Promise<readonly FileOp["actions"][number]["action"][]> {
  const { definition } = await convert(text);
  return [...nodesNamed(definition, "file").values()].flatMap(({ op }) =>
    (op as FileOp).actions.map(({ action }) => action),
  );
}

describe("the environment of RUN", () => {
  it("lists variables in the order in which they were last set", async () => {
    const [exec] = await execs(lines("FROM scratch", "ENV A=1 B=2", "ARG C=3", "ENV A=4", "RUN x"));
    expect(exec?.meta.env.slice(1)).toEqual(["B=2", "C=3", "A=4"]);
  });

  it("takes an ARG behind an ENV of its name, but not in a stage built upon this one", async () => {
    const [first, second] = await execs(
      lines("FROM scratch AS one", "ENV A=env", "ARG A=arg", "RUN one", "FROM one", "RUN two"),
    );
    expect(first?.meta.env).toContain("A=arg");
    expect(second?.meta.env).toContain("A=env");
  });

  it("gives proxies beside it, so that they are no part of it", async () => {
    const [exec] = await execs("FROM scratch\nRUN x", buildArgs({ HTTP_PROXY: "http://p", ftp_proxy: "" }));
    expect(exec?.meta.proxyEnv).toEqual({ HTTP_PROXY: "http://p", http_proxy: "http://p" });
    expect(exec?.meta.env).toHaveLength(1);
  });

  it("knows the socket of a forwarded agent unless it is set", async () => {
    const text = lines(
      "FROM scratch",
      "RUN --mount=type=ssh one",
      "ENV SSH_AUTH_SOCK=/mine",
      "RUN --mount=type=ssh two",
    );
    const [unset, set] = await execs(text);
    expect(unset?.meta.env).toContain("SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0");
    expect(set?.meta.env).toContain("SSH_AUTH_SOCK=/mine");
  });
});

describe("RUN", () => {
  it("runs as the image says, and under what the build was told", async () => {
    const [exec] = await execs(lines("FROM base", "USER app:staff", "WORKDIR /a//b/", "RUN x"), {
      extraHosts: [{ host: "h", ip: "10.0.0.1" }],
      ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
      shmSizeBytes: 1024,
      cgroupParent: "/builds",
      network: "host",
      ...buildArgs({ BUILDKIT_SANDBOX_HOSTNAME: "box", BUILDKIT_CACHE_MOUNT_NS: "ns" }),
    });
    expect(exec).toMatchObject({
      network: "host",
      meta: { user: "app:staff", cwd: "/a/b", hostname: "box", cgroupParent: "/builds", ulimits: [{ name: "nofile" }] },
    });
    expect(exec?.meta.extraHosts).toHaveLength(1);
    expect(exec?.mounts[1]).toMatchObject({ dest: "/dev/shm", type: "tmpfs", tmpfs: { sizeBytes: 1024 } });
  });

  it("takes the network of the build, with --network=default too, unless it names another", async () => {
    const text = lines(
      "FROM scratch",
      "RUN a",
      "RUN --network=default b",
      "RUN --network=none c",
      "RUN --network=host d",
    );
    const networks = async (network: "default" | "none" | "host") =>
      (await execs(text, { network })).map((exec) => exec.network);
    expect(await networks("default")).toEqual(["sandbox", "sandbox", "none", "host"]);
    expect(await networks("none")).toEqual(["none", "none", "none", "host"]);
    expect(await networks("host")).toEqual(["host", "host", "none", "host"]);
  });

  it("puts caches into their name space", async () => {
    const text = lines(
      "FROM scratch",
      "WORKDIR /w",
      "RUN --mount=type=cache,target=sub --mount=type=cache,target=/c,id=$I x",
    );
    const [exec] = await execs(text, buildArgs({ BUILDKIT_CACHE_MOUNT_NS: "ns" }));
    expect(exec?.mounts.slice(1).map(({ dest, cache }) => [dest, cache?.id])).toEqual([
      ["/c", "ns//c"],
      ["/w/sub", "ns/sub"],
    ]);
  });

  it("is refused where its mount is, at the flag", async () => {
    expect(await refusal("FROM base\nRUN --mount=type=tmpfs,target=/t,size=many true")).toMatchObject({
      message: "invalid value for size: many",
      location: { startLine: 2 },
      culprit: { start: { line: 2, character: 33 } },
    });
  });
});

describe("the context", () => {
  it("is asked only for the paths that stages which are built use", async () => {
    const text = lines(
      "FROM base AS unused",
      "COPY secret /",
      "FROM base",
      "COPY ../a ./b/c/ d* /x/",
      "RUN --mount=source=e,target=/e true",
    );
    const { definition } = await convert(text);
    const source = nodesNamed(definition, "source").get("[internal] load build context");
    expect(source?.op).toMatchObject({ attrs: { "local.followpaths": '["a","b/c","d*","e"]' } });
  });

  it("is asked for as a whole where one step wants it so", async () => {
    const { definition } = await convert("FROM base\nCOPY a /\nCOPY . /");
    expect(nodesNamed(definition, "source").get("[internal] load build context")?.op).toMatchObject({ attrs: {} });
  });

  it("is refused with patterns that mean nothing", async () => {
    const dockerignore = { name: ".dockerignore", text: "a\n!\n" };
    await expect(convert("FROM base", { dockerignore })).rejects.toThrow(
      '.dockerignore: illegal exclusion pattern: "!"',
    );
  });
});

describe("COPY and ADD", () => {
  it.each([
    ["/x", "/w", "/x"],
    ["x", "/w", "/w/x"],
    ["x/", "/w", "/w/x/"],
    ["", "/w", "/w/"],
    [".", "/w", "/w/"],
    ["./", "/", "/"],
    ["../../y/.", "/w", "/y/."],
    ["/.", "/w", "/."],
  ])("take the destination %j in %s as %s", async (written, directory, destination) => {
    const actions = await fileActions(`FROM base\nWORKDIR ${directory}\nCOPY ["f", ${JSON.stringify(written)}]`);
    expect(actions.at(-1)).toMatchObject({ kind: "copy", dest: destination });
  });

  it.each([
    ["0", { user: { kind: "id", id: 0 } }],
    ["root:app", { user: { kind: "id", id: 0 }, group: { kind: "name", name: "app", input: 0 } }],
    ["app:50", { user: { kind: "name", name: "app", input: 0 }, group: { kind: "id", id: 50 } }],
    ["99999999999", { user: { kind: "name", name: "99999999999", input: 0 } }],
  ])("give files to %s", async (chown, owner) => {
    const [action] = await fileActions(`FROM base\nCOPY --chown=${chown} f /`);
    expect(action).toMatchObject({ owner });
  });

  it("lay a linked copy over what is there, unless modes are to be set", async () => {
    const linked = await convert("FROM base\nCOPY --link f /");
    expect([...nodesNamed(linked.definition, "merge").keys()]).toEqual(["[2/2] LINK COPY --link f /"]);
    const plain = await convert("FROM base\nCOPY --link --chmod=600 f /");
    expect(nodesNamed(plain.definition, "merge").size).toBe(0);
  });

  it.each([
    ["COPY https://example.org/f /", "source can't be a URL for COPY"],
    ["COPY https://example.org/f.git /", "source can't be a git ref for COPY"],
    ["ADD https://example.org/f.git?colour=red /", 'unexpected query "colour"'],
    ["ADD --checksum=sha256:abc https://example.org/f /", "invalid checksum digest length"],
    ["ADD --checksum=abc https://example.org/f /", "invalid checksum digest format"],
    ["ADD --checksum=md5:0123456789abcdef0123456789abcdef https://example.org/f /", "unsupported digest algorithm"],
    ["ADD --checksum=sha256:abc f /", "checksum requires HTTP(S) or Git sources"],
    ["ADD --keep-git-dir=true git://h/r.git?keep-git-dir=0 /", "inconsistent keep-git-dir configuration"],
    ["COPY --chmod=8 f /", "invalid chmod parameter: '8'. it should be octal string and between 0 and 07777"],
  ])("refuse %s", async (text, message) => {
    expect((await refusal(`FROM base\n${text}`)).message).toBe(message);
  });
});

describe("settings", () => {
  it.each(["1.2.3.4:80:8080/tcp", "[::1]:80-81:90-91", "8080:80"])("open the port of EXPOSE %s", async (word) => {
    const { config } = await convert(`FROM base\nEXPOSE ${word}`);
    expect(Object.keys(config.config.ExposedPorts ?? {})).toEqual(
      expect.arrayContaining([expect.stringMatching(/tcp$/)]),
    );
  });

  it.each([
    ["EXPOSE 65536", "invalid containerPort: 65536"],
    ["EXPOSE a:80", "invalid hostPort: a"],
    ["EXPOSE 1-2:80-85", "invalid ranges specified for container and host Ports: 80-85 and 1-2"],
    ["EXPOSE x:1:2", "invalid IP address: x"],
    ["STOPSIGNAL 0", "invalid signal: 0"],
    ["STOPSIGNAL RTMIN+16", "invalid signal: RTMIN+16"],
    ['VOLUME ["$NONE"]', "VOLUME specified can not be an empty string"],
  ])("refuse %s", async (text, message) => {
    expect(await refusal(`FROM base\n${text}`)).toMatchObject({ message, location: { startLine: 2, endLine: 2 } });
  });

  it.each([
    ["1ms", "1ms"],
    ["1500ms", "1.5s"],
    ["90s", "1m30s"],
    ["3661.25s", "1h1m1.25s"],
    ["2h", "2h0m0s"],
  ])("show a duration of %s as %s", async (written, shown) => {
    const { config } = await convert(`FROM scratch\nHEALTHCHECK --interval=${written} CMD x`);
    expect(config.history[0]?.created_by).toContain(` Interval:${shown} `);
  });

  it("say where in the line an expansion fails", async () => {
    expect(await refusal(`FROM base\nENV ok=1 bad=\${x:?no}`)).toMatchObject({
      culprit: { start: { line: 2, character: 9 }, end: { line: 2, character: 21 } },
    });
  });

  it("take what is not Docker's or OCI's out of a base", async () => {
    const odd = { ...baseImage({ Hostname: "h", Domainname: "" }), docker_version: "1" };
    const { config } = await convert("FROM base", {}, fakeBridge({ "docker.io/library/base:latest": odd }));
    expect(Object.keys(config).sort()).toEqual(["architecture", "config", "history", "os", "rootfs"]);
    expect(config.config).not.toHaveProperty("Hostname");
  });

  it("put --label over all", async () => {
    const { config } = await convert("FROM base\nLABEL a=1 b=1", { labels: new Map([["b", "2"]]) });
    expect(config.config.Labels).toEqual({ a: "1", b: "2" });
  });
});

describe("a build that fixes the time", () => {
  it("dates history and directories, and shows the time only where an ARG asks for it", async () => {
    const text = lines("FROM scratch", "WORKDIR /w", "RUN one", "ARG SOURCE_DATE_EPOCH", "RUN two");
    const image = await convert(text, buildArgs({ SOURCE_DATE_EPOCH: "1700000000" }));
    expect(new Set(image.config.history.map(({ created }) => created))).toEqual(new Set(["2023-11-14T22:13:20Z"]));
    const mkdir = nodesNamed(image.definition, "file").get("[1/3] WORKDIR /w");
    expect(mkdir?.op).toMatchObject({ actions: [{ action: { timestamp: 1_700_000_000 } }] });
    const [one, two] = [...nodesNamed(image.definition, "exec").values()].map(({ op }) => (op as ExecOp).meta.env);
    expect(one).toHaveLength(1);
    expect(two).toContain("SOURCE_DATE_EPOCH=1700000000");
  });
});

describe("--no-cache", () => {
  it("is for the steps that run or copy, of the stages it names", async () => {
    const text = lines("FROM base AS One", "WORKDIR /w", "RUN a", "FROM one", "COPY b /", "COPY --link c /");
    const ignored = async (noCache: boolean | readonly string[]) => {
      const { definition } = await convert(text, { noCache });
      const fresh = [...definition.metadata.values()].filter(({ ignoreCache }) => ignoreCache);
      return fresh.map(({ name }) => name.replace(/^.*\] /, ""));
    };
    expect(await ignored(false)).toEqual([]);
    expect(await ignored(["ONE"])).toEqual(["RUN a"]);
    expect(await ignored(true)).toEqual(["RUN a", "COPY b /", "COPY --link c /", "LINK COPY --link c /"]);
  });
});

describe("steps", () => {
  it("show no values of variables whose names say that they are secret", async () => {
    const text = lines("FROM base", "ARG TOKEN=t0ps3cret", "ARG V=1", "RUN echo $TOKEN $V", "COPY a /$TOKEN/$V/");
    const { definition } = await convert(text);
    const names = [...definition.metadata.values()].map(({ name }) => name.replace(/^\[.*?\] /, ""));
    expect(names).toEqual(expect.arrayContaining(["RUN echo **** 1", "COPY a /****/1/"]));
  });

  it("show no value that a secret of another variable, of this stage or of one before it, is part of", async () => {
    const text = [
      ...["ARG GLOBAL_TOKEN=global-one", "ARG G=g-$GLOBAL_TOKEN", "FROM base AS one", "ARG TOKEN=t0ps3cret"],
      ...["ENV X=v$TOKEN", "RUN echo $X", "FROM one", "ARG G", "WORKDIR /w-$X", "COPY a /$G/"],
    ];
    const { definition } = await convert(lines(...text));
    const names = [...definition.metadata.values()].map(({ name }) => name.replace(/^\[.*?\] /, ""));
    expect(names).toEqual(expect.arrayContaining(["RUN echo ****", "WORKDIR /w-****", "COPY a /****/"]));
  });

  it("are known by stage, platform and place, so that another build finds them again", async () => {
    const text = lines("ARG ON=one", "FROM base AS one", "RUN a", "FROM $ON", "ENV X=1", "RUN b");
    const { definition } = await convert(text);
    expect([...definition.metadata.values()].map(({ step }) => step)).toEqual([
      { stage: "one linux/amd64", ordinal: 0 },
      { stage: "one linux/amd64", ordinal: 1, from: { name: "base", variables: undefined } },
      { stage: "1 linux/amd64", ordinal: 2, from: { name: "one", variables: ["ON=one"] } },
    ]);
  });

  it("come out as the same bytes from the same text and answers", async () => {
    const text = lines("FROM base AS one", "RUN a", "FROM scratch", "COPY --from=one / /");
    expect(await convert(text)).toEqual(await convert(text));
  });
});

describe("a syntax directive", () => {
  it.each(["docker/dockerfile:1", "docker.io/docker/dockerfile-upstream:master", "dockerfile.v0"])(
    "may name %s",
    async (syntax) => {
      await expect(convert(`# syntax=${syntax}\nFROM scratch`)).resolves.toBeDefined();
    },
  );

  it("of another language is refused, from the command line as well", async () => {
    const foreign = convert("# syntax=example.org/other:1\nFROM scratch");
    await expect(foreign).rejects.toBeInstanceOf(DiagnosticError);
    await expect(foreign).rejects.toMatchObject({ code: "unsupported" });
    await expect(convert("FROM scratch", buildArgs({ BUILDKIT_SYNTAX: "other" }))).rejects.toThrow('"other"');
  });
});

describe("an error", () => {
  it("of the bridge keeps its code and gets a place", async () => {
    const failed = createDockerfileFrontend().solve(requestFor("FROM gone"), fakeBridge());
    await expect(failed).rejects.toMatchObject({ code: "not-found", diagnostics: [{ location: { startLine: 1 } }] });
  });

  it("is part of what a check says", async () => {
    const { diagnostics } = await checkDockerfile(requestFor("FROM base\nSTOPSIGNAL no"), fakeBridge());
    expect(diagnostics.at(-1)).toMatchObject({ severity: "error", message: "invalid signal: no" });
  });
});
