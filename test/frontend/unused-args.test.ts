import { describe, expect, it } from "vitest";
import { baseImage, convert, fakeBridge } from "./convert-fixture.js";

async function warnings(text: string, names: readonly string[], bridge = fakeBridge()): Promise<readonly string[]> {
  await convert(text, { buildArgs: new Map(names.map((name) => [name, "1"])) }, bridge);
  return bridge.warnings.filter(({ rule }) => rule === undefined).map(({ message }) => message);
}

describe("a build argument that nothing takes", () => {
  it("is told with the one that was probably meant, and where that is", async () => {
    const bridge = fakeBridge();
    const text = "ARG VERSION=1\nFROM scratch AS unused\nARG other_name\nFROM scratch";
    expect(await warnings(text, ["VERSON", "OTHER_NAME", "TARGETPLATFROM"], bridge)).toEqual([
      "build argument VERSON is not used (did you mean VERSION?)",
      "build argument OTHER_NAME is not used (did you mean other_name?)",
      "build argument TARGETPLATFROM is not used (did you mean TARGETPLATFORM?)",
    ]);
    expect(bridge.warnings[0]).toMatchObject({ severity: "warning", location: { startLine: 1 } });
  });

  it("is nobody's business where it looks like none", async () => {
    const predefined = ["http_proxy", "NO_PROXY", "TARGETARCH", "BUILDKIT_SYNTAX", "SOURCE_DATE_EPOCH"];
    const names = ["COMPOSE_PROJECT", "VERSION", ...predefined].filter((name) => name !== "BUILDKIT_SYNTAX");
    expect(await warnings("FROM scratch\nARG VERSION\nARG A", [...names, "B"])).toEqual([]);
  });

  it("may be what a trigger of the base takes", async () => {
    const image = baseImage({ OnBuild: ["ARG VERSON"] });
    const bridge = fakeBridge({ "docker.io/library/base:latest": image });
    expect(await warnings("FROM base\nARG VERSION", ["VERSON"], bridge)).toEqual([]);
  });
});
