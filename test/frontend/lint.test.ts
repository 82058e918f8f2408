// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import { describe, expect, it } from "vitest";
import { lintDockerfile } from "../../src/frontend/dockerfile/lint/index.js";
import { parseDockerfile } from "../../src/frontend/dockerfile/parser.js";
import { checkDockerfile, createDockerfileFrontend, type Diagnostic } from "../../src/frontend/index.js";
import type { ImageConfig } from "../../src/oci/index.js";
import { baseImage, fakeBridge, requestFor } from "./convert-fixture.js";

/** What a test says of the build. */
interface Known {
  /** BUILDKIT_DOCKERFILE_CHECK. */
  readonly check?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly dockerignore?: readonly string[];
  readonly target?: string;
  /** Images besides `base`, by their full names. */
  readonly images?: Readonly<Record<string, ImageConfig>>;
}

function requestOf(text: string, { check, buildArgs = {}, dockerignore, target }: Known) {
  const args = { ...buildArgs, ...(check === undefined ? {} : { BUILDKIT_DOCKERFILE_CHECK: check }) };
  return requestFor(text, {
    buildArgs: new Map(Object.entries(args)),
    ...(dockerignore ? { dockerignore: { name: ".dockerignore", text: dockerignore.join("\n") } } : {}),
    ...(target === undefined ? {} : { target }),
  });
}

function bridgeOf({ images = {} }: Known) {
  return fakeBridge({ "docker.io/library/base:latest": baseImage(), ...images });
}

async function check(text: string, known: Known = {}): Promise<readonly Diagnostic[]> {
  return (await checkDockerfile(requestOf(text, known), bridgeOf(known))).diagnostics;
}

/** The findings as `line Rule: message`, as they come. */
async function findings(text: string, known: Known = {}): Promise<readonly string[]> {
  const found = await check(text, known);
  return found.map(({ location, rule = "error", message }) => `${location?.startLine} ${rule}: ${message}`);
}

/** The warnings among them, by line. */
async function warnings(text: string, known: Known = {}): Promise<readonly string[]> {
  const found = (await findings(text, known)).filter((line) => !line.includes(" error: "));
  return found.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
}

/** What a build, not a check, says before it runs anything. */
async function buildWarnings(text: string, known: Known = {}): Promise<readonly string[]> {
  const bridge = bridgeOf(known);
  await createDockerfileFrontend()
    .solve(requestOf(text, known), bridge)
    .catch(() => undefined);
  return bridge.warnings.map(({ rule, location }) => `${location?.startLine} ${rule}`);
}

/** The rules' findings as `Rule: the words they point at => suggestion`. */
async function words(text: string, known: Known = {}): Promise<readonly string[]> {
  return (await check(text, known)).map(({ rule, culprit, suggestion }) => {
    const line = text.split("\n")[(culprit?.start.line ?? 0) - 1] ?? "";
    const last = culprit?.start.line === culprit?.end.line ? culprit?.end.character : undefined;
    const meant = suggestion === undefined ? "" : ` => ${suggestion}`;
    return `${rule}: ${culprit && line.slice(culprit.start.character, last)}${meant}`;
  });
}

it("a finding points at the words it is about", async () => {
  const text = [
    "ARG VERSION=1",
    "FROM base AS Scratch",
    "FROM --platform=linux/amd64 base$VERSIN as two",
    "FROM --platform=$TARGETPLATFORM base AS two",
    "MAINTAINER me",
    "env SRCDIR /x",
    "ENV b=/x \\",
    "  # $SRCDR",
    "  c=${SRCDR:+x}",
    "ENV e=$nothing",
    "ARG A=1 API_KEY=x",
    "EXPOSE 1 2/TCP 3:4",
    "WORKDIR sub",
    "COPY ok bad .",
    "CMD a",
    'CMD ["b"]',
  ].join("\n");
  expect((await words(text, { dockerignore: ["bad"] })).toSorted()).toEqual(
    [
      "ConsistentInstructionCasing: env",
      "CopyIgnoredFile: bad",
      "DuplicateStageName: two",
      "ExposeInvalidFormat: 3:4",
      "ExposeProtoCasing: 2/TCP",
      "FromAsCasing: as",
      "FromPlatformFlagConstDisallowed: linux/amd64",
      "JSONArgsRecommended: CMD",
      "LegacyKeyValueFormat: SRCDIR /x",
      "MaintainerDeprecated: MAINTAINER",
      "MultipleInstructionsDisallowed: CMD",
      "RedundantTargetPlatform: $TARGETPLATFORM",
      "SecretsUsedInArgOrEnv: API_KEY",
      "StageNameCasing: Scratch",
      "ReservedStageName: Scratch",
      "UndefinedArgInFrom: $VERSIN => $VERSION",
      "UndefinedVar: SRCDR => SRCDIR",
      "UndefinedVar: $nothing",
      "WorkdirRelativePath: sub",
    ].toSorted(),
  );
});

it("nothing is said of a Dockerfile as it should be", async () => {
  const text = [
    "# check=experimental=all",
    "",
    "# NAME is the name",
    "ARG NAME=x",
    "# main is the image",
    "FROM base AS main",
    "ARG NAME",
    "ENV DIR=/srv PUBLIC_KEY_PATH=/k",
    "LABEL name=$NAME \\",
    "  # of the directory",
    '  dir="$DIR"',
    "WORKDIR /srv",
    "WORKDIR sub",
    "COPY ok.txt .",
    "EXPOSE 80 443/tcp 53/udp",
    "HEALTHCHECK --interval=5s CMD check",
    'ENTRYPOINT ["prog"]',
    'CMD ["arg"]',
  ];
  expect(await warnings(`${text.join("\n")}\n`, { dockerignore: ["other.txt"] })).toEqual([]);
  expect(await warnings('from base as build\nrun true\nfrom build\nworkdir /w\ncmd ["x"]\n')).toEqual([]);
});

describe("the checks of the text", () => {
  it("StageNameCasing and DuplicateStageName", async () => {
    expect(await warnings("FROM base AS one\nFROM base AS two\nFROM base AS ONE\nFROM base\n")).toEqual([
      "3 StageNameCasing: Stage name 'ONE' should be lowercase",
      '3 DuplicateStageName: Duplicate stage name "one", stage names should be unique',
    ]);
  });

  it("FromAsCasing and ConsistentInstructionCasing", async () => {
    const text = "FROM base as one\nFROM base AS two\nfrom base AS three\nFrom base as five\nFROM base As six\n";
    expect(await warnings(text)).toEqual([
      "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match",
      "3 FromAsCasing: 'AS' and 'from' keywords' casing do not match",
      "3 ConsistentInstructionCasing: Command 'from' should match the case of the command majority (uppercase)",
      "4 ConsistentInstructionCasing: Command 'From' should match the case of the command majority (uppercase)",
      "5 FromAsCasing: 'As' and 'FROM' keywords' casing do not match",
    ]);
    expect(await warnings("arg X=1\nFROM base\nrun true\nuser app\nUSER root\nfrom base\n")).toEqual([
      "2 ConsistentInstructionCasing: Command 'FROM' should match the case of the command majority (lowercase)",
      "5 ConsistentInstructionCasing: Command 'USER' should match the case of the command majority (lowercase)",
    ]);
    expect(await warnings("FROM base\nrun true\n")).toHaveLength(1);
  });

  it("NoEmptyContinuation", async () => {
    expect(await warnings("FROM base\nRUN a \\\n\n  b\n")).toEqual(["4 NoEmptyContinuation: Empty continuation line"]);
    const [empty] = await check("FROM base\nRUN a \\\n \t\r\n# more\n  b\n");
    expect(empty?.culprit).toEqual({ start: { line: 3, character: 0 }, end: { line: 4, character: 0 } });
    const [last] = await check("FROM base\nRUN a \\\n\n");
    expect(last?.culprit).toEqual({ start: { line: 3, character: 0 }, end: { line: 4, character: 0 } });
  });

  it("ReservedStageName", async () => {
    expect(await warnings("FROM base AS context\nFROM base AS scratch\nFROM base AS scratch2\n")).toEqual([
      '1 ReservedStageName: Stage name should not use the same name as reserved stage "context"',
      '2 ReservedStageName: Stage name should not use the same name as reserved stage "scratch"',
    ]);
  });

  it("MaintainerDeprecated", async () => {
    expect(await warnings("FROM base\nMAINTAINER me\n")).toEqual([
      "2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label",
    ]);
  });

  it("InvalidDefinitionDescription, where it is asked for", async () => {
    const text =
      "# wrong\nARG A=1\n# B is right\nARG B\n# wrong\n\nARG C\n# parted\n#\nARG F\n# wrong\nFROM base AS stage\n# wrong\nFROM base\n# no\nARG D E\n";
    expect(await warnings(`# check=skip=all;experimental=InvalidDefinitionDescription\n#\n${text}`)).toEqual([
      "4 InvalidDefinitionDescription: Comment for ARG should follow the format: `# A <description>`",
      "9 InvalidDefinitionDescription: Comment for ARG should follow the format: `# C <description>`",
      "14 InvalidDefinitionDescription: Comment for FROM should follow the format: `# stage <description>`",
      "18 InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>`",
    ]);
    expect(await warnings(text)).toEqual([]);
    const wanted = "# check=skip=all;experimental=InvalidDefinitionDescription\n#\n";
    expect(await words(`${wanted}# first\n\t# wrong \n\nARG A=1\nFROM base\n`)).toEqual([
      "InvalidDefinitionDescription: # wrong",
    ]);
  });

  it("InvalidDefaultArgInFrom, whatever is given on the command line", async () => {
    const text =
      "ARG IMG\nARG TAG\nARG SUFFIX\nFROM $IMG AS one\nFROM base:$TAG AS two\nFROM ${IMG:-base} AS three\nFROM base$SUFFIX AS four\n";
    expect(await warnings(text, { buildArgs: { IMG: "base", TAG: "latest" } })).toEqual([
      "4 InvalidDefaultArgInFrom: Default value for ARG $IMG results in empty or invalid base image name",
      "5 InvalidDefaultArgInFrom: Default value for ARG base:$TAG results in empty or invalid base image name",
    ]);
  });
});

describe("the checks of FROM's variables", () => {
  it("UndefinedArgInFrom", async () => {
    const text =
      "ARG VERSION\nFROM base:x$VERSON AS a\nFROM base:x$VERSION AS c\nFROM --platform=$BUILDPLATFRM base AS b\nFROM $later\n";
    expect(await warnings(`# check=skip=InvalidDefaultArgInFrom\n${text}`)).toEqual([
      "3 UndefinedArgInFrom: FROM argument 'VERSON' is not declared (did you mean VERSION?)",
      "5 UndefinedArgInFrom: FROM argument 'BUILDPLATFRM' is not declared (did you mean BUILDPLATFORM?)",
    ]);
  });

  it("RedundantTargetPlatform", async () => {
    const text =
      "FROM --platform=$TARGETPLATFORM base AS one\nFROM --platform=${TARGETPLATFORM} base AS two\nFROM --platform=$BUILDPLATFORM base AS three\nFROM --platform=$TARGETOS/$TARGETARCH base AS four\n";
    expect(await warnings(text)).toEqual([
      "1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
      "2 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
    ]);
  });

  it("FromPlatformFlagConstDisallowed", async () => {
    const text =
      "FROM --platform=linux/amd64 base AS one\nFROM --platform=linux/amd64 base AS tools-AMD64\nFROM --platform=linux/amd64 base AS on_linux\nFROM --platform=nonsense base\n";
    expect(await warnings(`# check=skip=StageNameCasing\n${text}`)).toEqual([
      '2 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"',
    ]);
  });
});

describe("the checks of what the build finds out", () => {
  it("JSONArgsRecommended, unless a shell was chosen", async () => {
    const text =
      'FROM base AS one\nCMD run it\nFROM base AS two\nSHELL ["/bin/sh", "-c"]\nENTRYPOINT run it\nFROM two AS three\nCMD x\nFROM base AS four\nENTRYPOINT [\'x\']\nFROM shell\nCMD x\n';
    const images = { "docker.io/library/shell:latest": baseImage({ Shell: ["/bin/bash", "-c"] }) };
    expect(await warnings(text, { images })).toEqual([
      "2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
      "9 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
    ]);
  });

  it("MultipleInstructionsDisallowed, at those without effect", async () => {
    const text =
      'FROM base AS one\nCMD ["a"]\nCMD ["b"]\nENTRYPOINT ["c"]\nCMD ["d"]\nHEALTHCHECK CMD ["e"]\nHEALTHCHECK NONE\nFROM one\nCMD ["f"]\n';
    const reason = "should not be used in the same stage because only the last one will be used";
    expect(await warnings(text)).toEqual([
      `2 MultipleInstructionsDisallowed: Multiple CMD instructions ${reason}`,
      `3 MultipleInstructionsDisallowed: Multiple CMD instructions ${reason}`,
      `6 MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions ${reason}`,
    ]);
  });

  it("LegacyKeyValueFormat", async () => {
    expect(await warnings("FROM base\nENV a b\nLABEL a b\nENV a=b\n")).toEqual([
      '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
      '3 LegacyKeyValueFormat: "LABEL key=value" should be used instead of legacy "LABEL key value" format',
    ]);
  });

  it("SecretsUsedInArgOrEnv, by whole words of names after expansion", async () => {
    const text =
      "ARG GLOBAL_TOKEN\nFROM base\nARG api_KEY=x\nENV DB_PASSWORD=x USER_NAME=y\nENV PUBLIC_KEY=x TOKEN_FILE=y AUTH_VERSION=z\nENV KEYBOARD=x MONKEY=y TOKENS=t k=APIKEY\nENV $k=x\nLABEL password=x\n";
    const warning = (line: number, where: string) =>
      `${line} SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (${where})`;
    expect(await warnings(text)).toEqual([
      warning(3, 'ARG "api_KEY"'),
      warning(4, 'ENV "DB_PASSWORD"'),
      warning(7, 'ENV "APIKEY"'),
    ]);
  });

  it("WorkdirRelativePath, through the stages", async () => {
    const text =
      "FROM base AS one\nWORKDIR a/b\nWORKDIR c\nFROM base AS two\nWORKDIR /a\nWORKDIR b\nFROM two AS three\nWORKDIR c\nFROM base AS four\nARG D=/abs\nWORKDIR $D\nFROM base AS five\nWORKDIR d\n";
    const reason = "can have unexpected results if the base image changes";
    expect(await warnings(text)).toEqual([
      `2 WorkdirRelativePath: Relative workdir "a/b" ${reason}`,
      `13 WorkdirRelativePath: Relative workdir "d" ${reason}`,
    ]);
  });

  it("UndefinedVar, but not for an ARG without a value", async () => {
    const text = "FROM base AS one\nARG GIVEN\nENV PATH=$PAHT\nLABEL a=$GIVEN b=$none\nFROM one\nLABEL a=$GIVEN\n";
    expect(await warnings(text)).toEqual([
      "3 UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?)",
      "4 UndefinedVar: Usage of undefined variable '$none'",
    ]);
  });

  it("UndefinedVar, for each word, with what is meant at most two edits away", async () => {
    const text =
      "FROM base\nENV DIRECTORY=/d\nLABEL a=$none$none b=$none\nCOPY $DIERCTOYR $DIRECTRY /\nEXPOSE $none 80\n";
    expect(await warnings(text)).toEqual([
      "3 UndefinedVar: Usage of undefined variable '$none'",
      "3 UndefinedVar: Usage of undefined variable '$none'",
      "4 UndefinedVar: Usage of undefined variable '$DIERCTOYR'",
      "4 UndefinedVar: Usage of undefined variable '$DIRECTRY' (did you mean $DIRECTORY?)",
    ]);
  });

  it("UndefinedVar, as often as anybody could want to know", async () => {
    const lines = Array.from({ length: 12_000 }, (_, index) => `ENV V${index}=$U${index}`);
    const found = await check(`FROM base\n${lines.join("\n")}\n`);
    expect(found).toHaveLength(10_000);
    expect(found[150]?.message).toContain("(did you mean $V");
    expect(found[250]?.message).toBe("Usage of undefined variable '$U250'");
  });

  it("CopyIgnoredFile", async () => {
    const text =
      "FROM base AS one\nFROM base\nCOPY ./logs/../secret.txt ok /a/\nADD logs/x.log /b\nCOPY . /d/\nCOPY --from=one secret.txt /e\nADD https://example.com/secret.txt /f\n";
    expect(await warnings(text, { dockerignore: ["secret.txt", "**/*.log"] })).toEqual([
      '3 CopyIgnoredFile: Attempting to Copy file "secret.txt" that is excluded by .dockerignore',
      '4 CopyIgnoredFile: Attempting to Add file "logs/x.log" that is excluded by .dockerignore',
    ]);
    expect(await warnings(text, { dockerignore: ["*", "!ok"] })).toEqual([]);
    expect(await warnings(text, { dockerignore: ["*"] })).toContain(
      '5 CopyIgnoredFile: Attempting to Copy file "." that is excluded by .dockerignore',
    );
    expect(await warnings(text)).toEqual([]);
  });

  it("ExposeProtoCasing and ExposeInvalidFormat, word by word", async () => {
    const text = "FROM base\nEXPOSE 82/Udp 80/TCP 81/tcp\nEXPOSE 127.0.0.1:80:80 [::1]::8080 9000:9000/TCP :7\n";
    const rule = "EXPOSE instruction should not define an IP address or host-port mapping";
    const casing = (word: string) => `Defined protocol '${word}' in EXPOSE instruction should be lowercase`;
    expect(await findings(text)).toEqual([
      `2 ExposeProtoCasing: ${casing("80/TCP")}`,
      `2 ExposeProtoCasing: ${casing("82/Udp")}`,
      `3 ExposeInvalidFormat: ${rule}, found '127.0.0.1:80:80'`,
      `3 ExposeProtoCasing: ${casing("9000:9000/TCP")}`,
      `3 ExposeInvalidFormat: ${rule}, found '9000:9000/TCP'`,
      `3 ExposeInvalidFormat: ${rule}, found '[::1]::8080'`,
    ]);
    expect(await findings("FROM base\nEXPOSE 127.0.0.1:1:80 80/nothing\nEXPOSE 1:1\n")).toEqual([
      `2 ExposeInvalidFormat: ${rule}, found '127.0.0.1:1:80'`,
      '2 error: invalid port: "80/nothing": invalid proto: nothing',
    ]);
  });

  it("InvalidBaseImagePlatform, which has no page", async () => {
    const other = { ...baseImage(), architecture: "arm64" };
    const images = { "docker.io/library/other:latest": other };
    const [warning] = await check("FROM other\n", { images });
    expect(warning).toEqual({
      severity: "warning",
      culprit: { start: { line: 1, character: 5 }, end: { line: 1, character: 10 } },
      rule: "InvalidBaseImagePlatform",
      message: 'Base image other was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
      description: "Base image platform does not match expected target platform",
      location: { file: "Dockerfile", startLine: 1, endLine: 1 },
    });
    const text =
      "FROM base AS one\nCOPY --from=other /a /b\nRUN --mount=from=other,target=/x true\nFROM scratch\nCOPY --from=one / /\n";
    expect(await buildWarnings(text, { images })).toEqual(["2 InvalidBaseImagePlatform", "3 InvalidBaseImagePlatform"]);
    const empty = {
      "docker.io/library/other:latest": { ...other, rootfs: { type: "layers", diff_ids: [] }, history: [] },
    };
    expect(await buildWarnings("FROM other\nENV a=b\n", { images: empty as typeof images })).toEqual([]);
  });

  it("speak of what ONBUILD adds at the FROM that fires it", async () => {
    const onbuild = ["ENV a $nothing", "WORKDIR app", "CMD run it", "ENV TOKEN=x"];
    const images = { "docker.io/library/parent:latest": baseImage({ OnBuild: onbuild }) };
    const text = 'ARG X\n\nFROM parent\nWORKDIR sub\nCMD ["x"]\n';
    expect((await findings(text, { images })).map((line) => line.split(":")[0])).toEqual([
      "3 UndefinedVar",
      "3 LegacyKeyValueFormat",
      "3 WorkdirRelativePath",
      "3 JSONArgsRecommended",
      "3 SecretsUsedInArgOrEnv",
      "3 MultipleInstructionsDisallowed",
    ]);
    const inFile = "FROM base AS one\nONBUILD MAINTAINER x\nFROM one\n";
    expect((await findings(inFile))[0]).toContain("MAINTAINER isn't allowed as an ONBUILD trigger");
    expect(await findings("FROM base AS one\nONBUILD EXPOSE 80/TCP\nFROM one\nCMD x\n")).toMatchObject([
      expect.stringContaining("3 ExposeProtoCasing"),
      expect.stringContaining("4 JSONArgsRecommended"),
    ]);
  });

  it("stop where the conversion did", async () => {
    expect(await findings("FROM base\nENV a b\nSTOPSIGNAL NONSENSE\nCMD run it\n")).toEqual([
      '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
      "3 error: invalid signal: NONSENSE",
    ]);
    expect(await findings("FROM $ONE\nFROM $TWO\n")).toEqual([
      "1 InvalidDefaultArgInFrom: Default value for ARG $ONE results in empty or invalid base image name",
      "2 InvalidDefaultArgInFrom: Default value for ARG $TWO results in empty or invalid base image name",
      "1 UndefinedArgInFrom: FROM argument 'ONE' is not declared",
      "1 error: base name ($ONE) should not be blank",
    ]);
  });

  it("look at stages that a target needs, and without one at all in a check, at the needed ones in a build", async () => {
    const text = "FROM base AS one\nCMD a b\nFROM base AS two\nCMD c d\nFROM base AS three\nCMD e f\n";
    expect(await findings(text)).toHaveLength(3);
    expect(await findings(text, { target: "two" })).toMatchObject([expect.stringContaining("4 JSONArgsRecommended")]);
    expect(await buildWarnings(text)).toEqual(["6 JSONArgsRecommended"]);
  });

  it("are told in the order in which a build comes upon them", async () => {
    const text =
      "# check=experimental=all\n# no\nARG V\nFROM base AS One\nMAINTAINER me\nENV TOKEN $x\nfrom base:$V as context\nCMD a \\\n\n b\nCMD c\nARG KEY=$y\n";
    expect((await findings(text)).map((line) => line.split(":")[0])).toEqual([
      "10 NoEmptyContinuation",
      "3 InvalidDefinitionDescription",
      "4 StageNameCasing",
      "5 MaintainerDeprecated",
      "7 ReservedStageName",
      "7 ConsistentInstructionCasing",
      "7 InvalidDefaultArgInFrom",
      "7 error",
    ]);
    const given = { buildArgs: { V: "latest" } };
    expect((await findings(text, given)).map((line) => line.split(":")[0]).slice(7)).toEqual([
      "6 UndefinedVar",
      "6 LegacyKeyValueFormat",
      "6 SecretsUsedInArgOrEnv",
      "8 JSONArgsRecommended",
      "8 MultipleInstructionsDisallowed",
      "11 JSONArgsRecommended",
      "12 SecretsUsedInArgOrEnv",
      "12 UndefinedVar",
    ]);
  });

  it("are left out where the file was only parsed", () => {
    const text = "FROM base AS One\nCMD run it\n";
    const parsed = parseDockerfile(text, "Dockerfile");
    const found = lintDockerfile({ name: "Dockerfile", text, parsed, facts: undefined, check: undefined });
    expect(found.map((warning) => warning.rule)).toEqual(["StageNameCasing"]);
  });
});

describe("options", () => {
  const text = "FROM base AS Build\nMAINTAINER me\nCMD run it\n";
  const rules = async (source: string, known: Known = {}) =>
    (await check(source, known)).map(({ rule, message }) => rule ?? message);

  it("skip all or some", async () => {
    expect(await rules(`# check=skip=all\n${text}`)).toEqual([]);
    expect(await rules(`# check=skip=StageNameCasing,JSONArgsRecommended behind a blank\n${text}`)).toEqual([
      "MaintainerDeprecated",
    ]);
  });

  it("of the build argument take the place of the directive's", async () => {
    expect(await rules(`# check=skip=all\n${text}`, { check: "skip=StageNameCasing" })).toEqual([
      "MaintainerDeprecated",
      "JSONArgsRecommended",
    ]);
  });

  it("in a comment count for the instruction below", async () => {
    const source =
      "# a comment\n# check=skip=all\n\nFROM base AS Build\n# check=skip=JSONArgsRecommended\nCMD run it\nFROM base AS Test\nCMD run it\n";
    expect(await rules(source)).toEqual(["StageNameCasing", "JSONArgsRecommended"]);
  });

  it("turn warnings into an error", async () => {
    expect((await rules(`# check=error=true;skip=MaintainerDeprecated\n${text}`)).at(-1)).toBe(
      "lint violation found for rules: JSONArgsRecommended, StageNameCasing",
    );
    expect(await rules("# check=error=true\nFROM base AS build\n")).toEqual([]);
    expect(await rules("# check=skip=StageNameCasing;error=true\nFROM base AS Build\n")).toEqual([]);
  });

  it.each([
    ["skip", 'failed to parse check options: invalid check option "skip"'],
    ["leave=all", 'failed to parse check options: invalid check option "leave"'],
    [
      "error=maybe",
      'failed to parse check options: failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
  ])("%s can't be read", async (options, error) => {
    expect(await check(`# check=${options}\nFROM base\n`)).toMatchObject([
      { severity: "error", message: error, location: { startLine: 1 } },
    ]);
  });

  it("of the build argument that can't be read are told apart", async () => {
    expect(await rules(text, { check: "x" })).toEqual([
      'failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: invalid check option "x"',
    ]);
  });
});

it("a file that can't be cut into instructions is not checked", async () => {
  const text = "FROM base AS One\nMAINTAINER me\nRUN a \\\n\n b\n";
  expect(await warnings(text)).toHaveLength(3);
  expect(await warnings(`${text}ENV x\n`)).toEqual([]);
  expect(await warnings(`${text}COPY <<E /\n`)).toEqual([]);
});

it("a file with an error is checked up to it, as far as its text goes", async () => {
  const text = "FROM base AS One\nMAINTAINER me\nNONSENSE\nMAINTAINER you\n";
  expect(await warnings(text)).toEqual([
    "1 StageNameCasing: Stage name 'One' should be lowercase",
    "2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label",
  ]);
  expect(await findings("RUN a \\\n\n b\nMAINTAINER me\nFROM base AS One\n")).toMatchObject([
    expect.stringContaining("3 NoEmptyContinuation"),
    "1 error: no build stage in current context",
  ]);
  expect(await warnings("FROM base\nNONSENSE\nRUN a \\\n\n b\n")).toEqual([
    "5 NoEmptyContinuation: Empty continuation line",
  ]);
});
