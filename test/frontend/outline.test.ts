// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import { describe, expect, it } from "vitest";
import { listTargets, outlineDockerfile } from "../../src/frontend/index.js";
import { baseImage, fakeBridge, requestFor } from "./convert-fixture.js";

async function outline(text: string, buildArgs: Readonly<Record<string, string>> = {}, target?: string) {
  const request = requestFor(text, {
    buildArgs: new Map(Object.entries(buildArgs)),
    ...(target === undefined ? {} : { target }),
  });
  const images = { "docker.io/library/base:latest": baseImage(), "docker.io/library/basis:latest": baseImage() };
  return outlineDockerfile(request, fakeBridge(images));
}

/** `line name=value description`. */
async function args(text: string, buildArgs?: Readonly<Record<string, string>>, target?: string) {
  const found = (await outline(text, buildArgs, target)).args;
  return found.map(({ name, value, description, location }) =>
    [
      `${location.startLine} ${name}`,
      ...(value === undefined ? [] : [`=${value}`]),
      ...(description ? [` ${description}`] : []),
    ].join(""),
  );
}

describe("the outline of a target", () => {
  const text = [
    "ARG inherited=e",
    "ARG other=x",
    "ARG unused=abc${other}",
    "# sfx is a suffix",
    'ARG sfx="i${inherited}"',
    "FROM bas${sfx#i} AS first",
    "# this is said of nothing",
    "ARG FOO=123",
    "# BAR is a number",
    "# that is given",
    "ARG BAR=456",
    "FROM base${unused#abcx} AS second",
    "ARG BAZ",
    "FROM scratch AS third",
    "ARG ABC=a",
    "# check=skip=all",
    "ARG password",
    "# target is what to build",
    "FROM third AS target",
    "COPY --from=first /etc/passwd /",
    "FROM second",
  ].join("\n");

  it("has the arguments of the target and of what it is made of, with what they are here", async () => {
    expect(await args(text, { BAR: "678", inherited: "is" }, "Target")).toEqual([
      "1 inherited=is",
      "5 sfx=iis is a suffix",
      "8 FOO=123",
      "11 BAR=678 is a number",
      "15 ABC=a",
      "17 password",
    ]);
    expect(await args(text)).toEqual(["2 other=x", "3 unused=abcx", "13 BAZ"]);
  });

  it("has its name and what the comment above it says", async () => {
    expect(await outline(text, {}, "target")).toMatchObject({ name: "target", description: "is what to build" });
    expect(await outline(text)).toMatchObject({ name: undefined, description: undefined });
  });

  it("has what defaults are made of, also where one builds upon another of its name", async () => {
    const recursive =
      "ARG FOO=123\nARG ABC=abc\nARG DEF=def\nARG FOO=${FOO}${ABC}\nARG BAR=${FOO}456\nARG FOO=${FOO}456${BAR}\nFROM scratch\nARG FOO\nARG INFOO=123\nARG INBAR=${INFOO}456\nARG INFOO=${INFOO}456${INBAR}\n";
    expect(await args(recursive)).toEqual([
      "2 ABC=abc",
      "5 BAR=123abc456",
      "6 FOO=123abc456123abc456",
      "10 INBAR=123456",
      "11 INFOO=123456123456",
    ]);
  });

  it("has no platform argument unless the file declares it, and an argument once", async () => {
    expect(await args("FROM --platform=$BUILDPLATFORM base\nARG TARGETOS\nARG A=1\nARG A=2\n")).toEqual(["4 A=2"]);
    expect(await args("ARG V=1\nFROM scratch AS a\nARG V=2\nFROM a\nARG V\n")).toEqual(["1 V=1"]);
    expect(await args("ARG V=1\nFROM scratch AS a\nARG V=2\nFROM a\nARG V\n", { V: "3" })).toEqual(["5 V=3"]);
  });

  it("has secrets and ssh agents, their names expanded", async () => {
    const mounts =
      "FROM base AS first\nRUN --mount=type=secret,target=/etc/passwd,required=true --mount=type=ssh true\nFROM base AS second\nRUN --mount=type=secret,id=unused --mount=type=ssh,id=ssh2 true\nFROM base AS third\nARG BAR\nRUN --mount=type=secret,id=second${BAR} --mount=type=cache,target=/c true\nFROM third AS target\nCOPY --from=first /foo /\nRUN --mount=type=ssh,id=ssh3,required true\nRUN --mount=from=first,target=/f true\nFROM second\n";
    const { secrets, ssh } = await outline(mounts, { BAR: "678" }, "target");
    const shown = ({ name, required, location }: (typeof secrets)[number]) => [location.startLine, name, required];
    expect(secrets.map(shown)).toEqual([
      [2, "passwd", true],
      [7, "second678", false],
    ]);
    expect(ssh.map(shown)).toEqual([
      [2, "default", false],
      [10, "ssh3", true],
    ]);
  });

  it("is refused where the target can't be built", async () => {
    await expect(outline("FROM gone\n")).rejects.toMatchObject({ code: "not-found" });
    await expect(outline("FROM scratch\nNONSENSE\n")).rejects.toMatchObject({ code: "invalid" });
    await expect(outline("# check=error=true\nFROM base as x\n")).rejects.toThrow("lint violation found");
  });
});

it("the targets are the stages, as they are written", () => {
  const text =
    "# Build is the compiler's\n# build makes the program\nFROM base AS Build\nRUN true\nFROM base as second\nFROM --platform=$BUILDPLATFORM base:$V\n# binary has nothing else\nFROM second \\\n  AS binary\n";
  const location = (startLine: number, endLine = startLine) => ({ file: "Dockerfile", startLine, endLine });
  expect(listTargets(requestFor(text))).toEqual([
    {
      name: "build",
      description: "makes the program",
      isDefault: false,
      base: "base",
      platform: undefined,
      location: location(3),
    },
    {
      name: "second",
      description: undefined,
      isDefault: false,
      base: "base",
      platform: undefined,
      location: location(5),
    },
    {
      name: undefined,
      description: undefined,
      isDefault: false,
      base: "base:$V",
      platform: "$BUILDPLATFORM",
      location: location(6),
    },
    {
      name: "binary",
      description: "has nothing else",
      isDefault: true,
      base: "second",
      platform: undefined,
      location: location(8, 9),
    },
  ]);
  expect(() => listTargets(requestFor("FROM a\nNONSENSE\n"))).toThrow("unknown instruction");
});
