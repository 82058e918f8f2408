import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { checkDockerfile, createDockerfileFrontend } from "../../src/frontend/index.js";
import { baseImage, convert, fakeBridge, refusal, requestFor } from "./convert-fixture.js";

const lines = (...text: readonly string[]) => text.join("\n");
const many = (count: number, line: (n: number) => string) => Array.from({ length: count }, (_, n) => line(n));
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

describe("a long Dockerfile", () => {
  it("leaves others their turn while it is converted, and ends when it is told to", async () => {
    const controller = new AbortController();
    const text = lines("FROM scratch", ...many(20_000, (n) => `ENV V${n}=${n}`));
    const converting = createDockerfileFrontend().solve(requestFor(text), fakeBridge(), { signal: controller.signal });
    const outcome = expect(converting).rejects.toMatchObject({ code: "canceled" });
    await setImmediate();
    controller.abort();
    await outcome;
  });

  it("is refused from some length on, at the first line that is too much", async () => {
    const text = "\n".repeat(200_001);
    expect(await refusal(text)).toMatchObject({
      message: "the Dockerfile has 200002 lines, at most 200000 are allowed",
      location: { startLine: 200_001 },
    });
    const { diagnostics } = await checkDockerfile(requestFor(text), fakeBridge());
    expect(diagnostics).toMatchObject([{ severity: "error", location: { startLine: 200_001 } }]);
  });

  it("keeps every setting in its place", async () => {
    const text = lines("FROM scratch", ...many(3_000, (n) => `ENV V${n % 1_000}=${n}\nLABEL l${n}=${n}`));
    const { config } = await convert(text);
    expect(config.config.Env).toEqual([PATH, ...many(1_000, (n) => `V${n}=${n + 2_000}`)]);
    expect(Object.keys(config.config.Labels ?? {})).toHaveLength(3_000);
    expect(config.history).toHaveLength(6_000);
  });
});

describe("stages that are built upon each other", () => {
  it("leave one another's settings alone", async () => {
    const text = lines(
      "FROM base AS root",
      "ENV A=root",
      "LABEL root=1",
      "EXPOSE 1",
      "VOLUME /root",
      "ONBUILD LABEL fired=1",
      "FROM root AS left",
      "ENV A=left L=1",
      "LABEL left=1",
      "EXPOSE 2",
      "FROM root AS right",
      "ENV R=1",
      "VOLUME /right",
      "ONBUILD LABEL again=1",
      "FROM left AS target",
      "COPY --from=right /a /b",
      "LABEL a=$A l=$L r=$R",
      "FROM right",
      "COPY --from=target /a /b",
    );
    const settings = async (target: string) => (await convert(text, { target })).config;
    expect((await settings("root")).config).toMatchObject({
      Env: [PATH, "A=root"],
      Labels: { root: "1" },
      ExposedPorts: { "1/tcp": {} },
      OnBuild: ["LABEL fired=1"],
    });
    const right = await settings("right");
    expect(right.config).toMatchObject({ Env: [PATH, "A=root", "R=1"], Labels: { root: "1", fired: "1" } });
    expect(Object.keys(right.config.Volumes ?? {})).toEqual(["/root", "/right"]);
    expect(right.config.OnBuild).toEqual(["LABEL again=1"]);
    expect(right.history.map((entry) => entry.created_by)).toEqual([
      "base rootfs",
      "ENV A=root",
      "LABEL root=1",
      "EXPOSE [1/tcp]",
      "VOLUME [/root]",
      "LABEL fired=1",
      "ENV R=1",
      "VOLUME [/right]",
    ]);
    const target = await settings("target");
    expect(target.config.Labels).toEqual({ root: "1", fired: "1", left: "1", a: "left", l: "1", r: "" });
    expect(Object.keys(target.config.ExposedPorts ?? {})).toEqual(["1/tcp", "2/tcp"]);
    expect(target.config).not.toHaveProperty("OnBuild");
  });

  it("leave those of the image they begin with alone", async () => {
    const image = baseImage({ Env: ["A=1", "B=1", "A=2"], Labels: { l: "1" }, OnBuild: ["ENV C=1"] });
    const before = structuredClone(image);
    const bridge = fakeBridge({ "docker.io/library/base:latest": image });
    const { config } = await convert("FROM base AS one\nENV A=3\nLABEL m=1\nFROM base\nENV B=2", {}, bridge);
    expect(config.config.Env).toEqual(["A=1", "B=2", "A=2", PATH, "C=1"]);
    expect(image).toEqual(before);
  });
});
