// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import { describe, expect, it } from "vitest";
import { createPatternMatcher } from "../../src/base/index.js";
import type { DockerfileNode, StageInstruction } from "../../src/frontend/dockerfile/ast.js";
import {
  checkReport,
  type LintFacts,
  lintDockerfile,
  type StageFacts,
} from "../../src/frontend/dockerfile/lint/index.js";
import { parseDockerfile } from "../../src/frontend/dockerfile/parser.js";
import type { Diagnostic } from "../../src/frontend/frontend.js";

/** What a test says of the build. */
interface Known {
  readonly check?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly dockerignore?: readonly string[];
  /** Of each stage, over what is assumed of it. */
  readonly stages?: readonly Partial<StageFacts>[];
  /** Words after expansion, by the line of their instruction. */
  readonly expanded?: Readonly<Record<number, readonly string[]>>;
  /** Undefined variables, by the line of their instruction. */
  readonly undefined?: Readonly<Record<number, readonly string[]>>;
}

function check(text: string, known: Known = {}): readonly Diagnostic[] {
  const parsed = parseDockerfile(text, "Dockerfile");
  return lintDockerfile({ name: "Dockerfile", parsed, facts: factsOf(parsed.dockerfile, known), check: known.check });
}

/** The warnings as `line Rule: message`. */
function warnings(text: string, known: Known = {}): readonly string[] {
  return check(text, known).map(({ location, rule, message }) => `${location?.startLine} ${rule}: ${message}`);
}

function factsOf(file: DockerfileNode, known: Known): LintFacts {
  const platform = {
    TARGETPLATFORM: "linux/amd64",
    TARGETOS: "linux",
    TARGETARCH: "amd64",
    BUILDPLATFORM: "linux/amd64",
  };
  const matcher = createPatternMatcher(known.dockerignore ?? []);
  const stages = file.stages.map((stage): [number, StageFacts] => {
    const at = (instruction: StageInstruction) => instruction.range.start.line;
    const parent = file.stages.findLast(
      (other) => other.index < stage.index && other.from.name?.text === stage.from.image.text,
    );
    return [
      stage.index,
      {
        parent: parent?.index,
        baseHasShell: false,
        platformMismatch: undefined,
        converted: stage.instructions.length,
        undefinedVariables: stage.instructions.flatMap((instruction) =>
          (known.undefined?.[at(instruction)] ?? []).map((name) => ({ instruction, name, known: ["PATH", "HOME"] })),
        ),
        expanded: new Map(
          stage.instructions.flatMap((instruction) => {
            const words = known.expanded?.[at(instruction)];
            return words ? [[instruction, words]] : [];
          }),
        ),
        ...known.stages?.[stage.index],
      },
    ];
  });
  return {
    buildArgs: new Map(Object.entries(known.buildArgs ?? {})),
    platformArgs: new Map(Object.entries(platform)),
    dockerignore: known.dockerignore && matcher.ok ? matcher.matcher : undefined,
    stages: new Map(stages),
  };
}

it("nothing is said of a Dockerfile as it should be", () => {
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
  expect(warnings(`${text.join("\n")}\n`, { dockerignore: ["other.txt"] })).toEqual([]);
  expect(warnings('from base as build\nrun true\nfrom build\nworkdir /w\ncmd ["x"]\n')).toEqual([]);
});

describe("the checks of the text", () => {
  it("StageNameCasing and DuplicateStageName", () => {
    expect(warnings("FROM base AS one\nFROM base AS two\nFROM base AS ONE\nFROM base\n")).toEqual([
      '3 DuplicateStageName: Duplicate stage name "one", stage names should be unique',
      "3 StageNameCasing: Stage name 'ONE' should be lowercase",
    ]);
  });

  it("FromAsCasing and ConsistentInstructionCasing", () => {
    const text = "FROM base as one\nFROM base AS two\nfrom base AS three\nFrom base as five\nFROM base As six\n";
    expect(warnings(text)).toEqual([
      "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match",
      "3 ConsistentInstructionCasing: Command 'from' should match the case of the command majority (uppercase)",
      "3 FromAsCasing: 'AS' and 'from' keywords' casing do not match",
      "4 ConsistentInstructionCasing: Command 'From' should match the case of the command majority (uppercase)",
      "5 FromAsCasing: 'As' and 'FROM' keywords' casing do not match",
    ]);
    expect(warnings("arg X=1\nFROM base\nrun true\nuser app\nUSER root\nfrom base\n")).toEqual([
      "2 ConsistentInstructionCasing: Command 'FROM' should match the case of the command majority (lowercase)",
      "5 ConsistentInstructionCasing: Command 'USER' should match the case of the command majority (lowercase)",
    ]);
    expect(warnings("FROM base\nrun true\n")).toHaveLength(1);
  });

  it("NoEmptyContinuation", () => {
    expect(warnings("FROM base\nRUN a \\\n\n  b\n")).toEqual(["4 NoEmptyContinuation: Empty continuation line"]);
  });

  it("ReservedStageName", () => {
    expect(warnings("FROM base AS context\nFROM base AS scratch\nFROM base AS scratch2\n")).toEqual([
      '1 ReservedStageName: Stage name should not use the same name as reserved stage "context"',
      '2 ReservedStageName: Stage name should not use the same name as reserved stage "scratch"',
    ]);
  });

  it("MaintainerDeprecated", () => {
    expect(warnings("FROM base\nMAINTAINER me\n")).toEqual([
      "2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label",
    ]);
  });

  it("InvalidDefinitionDescription, where it is asked for", () => {
    const text =
      "# wrong\nARG A=1\n# B is right\nARG B\n# wrong\n\nARG C\n# parted\n#\nARG F\n# wrong\nFROM base AS stage\n# wrong\nFROM base\n# no\nARG D E\n";
    expect(warnings(`# check=skip=all;experimental=InvalidDefinitionDescription\n#\n${text}`)).toEqual([
      "4 InvalidDefinitionDescription: Comment for ARG should follow the format: `# A <description>`",
      "9 InvalidDefinitionDescription: Comment for ARG should follow the format: `# C <description>`",
      "14 InvalidDefinitionDescription: Comment for FROM should follow the format: `# stage <description>`",
      "18 InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>`",
    ]);
    expect(warnings(text)).toEqual([]);
  });

  it("InvalidDefaultArgInFrom, whatever is given on the command line", () => {
    const text =
      "ARG IMG\nARG TAG\nARG SUFFIX\nFROM $IMG AS one\nFROM base:$TAG AS two\nFROM ${IMG:-base} AS three\nFROM base$SUFFIX AS four\n";
    expect(warnings(text, { buildArgs: { IMG: "base", TAG: "latest" } })).toEqual([
      "4 InvalidDefaultArgInFrom: Default value for ARG $IMG results in empty or invalid base image name",
      "5 InvalidDefaultArgInFrom: Default value for ARG base:$TAG results in empty or invalid base image name",
    ]);
  });
});

describe("the checks of FROM's variables", () => {
  it("UndefinedArgInFrom", () => {
    const text =
      "ARG VERSION\nFROM base:$VERSON AS a\nFROM --platform=$BUILDPLATFROM base AS b\nFROM base:x$VERSION AS c\n";
    expect(warnings(`# check=skip=InvalidDefaultArgInFrom\n${text}`)).toEqual([
      "3 UndefinedArgInFrom: FROM argument 'VERSON' is not declared (did you mean VERSION?)",
      "4 UndefinedArgInFrom: FROM argument 'BUILDPLATFROM' is not declared (did you mean BUILDPLATFORM?)",
    ]);
  });

  it("RedundantTargetPlatform", () => {
    const text =
      "FROM --platform=$TARGETPLATFORM base AS one\nFROM --platform=${TARGETPLATFORM} base AS two\nFROM --platform=$BUILDPLATFORM base AS three\nFROM --platform=$TARGETOS/$TARGETARCH base AS four\n";
    expect(warnings(text)).toEqual([
      "1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
      "2 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
    ]);
  });

  it("FromPlatformFlagConstDisallowed", () => {
    const text =
      "FROM --platform=linux/amd64 base AS one\nFROM --platform=linux/amd64 base AS tools-AMD64\nFROM --platform=linux/amd64 base AS on_linux\nFROM --platform=nonsense base\n";
    expect(warnings(`# check=skip=StageNameCasing\n${text}`)).toEqual([
      '2 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"',
    ]);
  });
});

describe("the checks of what the build finds out", () => {
  it("JSONArgsRecommended, unless a shell was chosen", () => {
    const text =
      'FROM base AS one\nCMD run it\nFROM base AS two\nSHELL ["/bin/sh", "-c"]\nENTRYPOINT run it\nFROM base\nENTRYPOINT [\'x\']\nFROM base\nCMD x\n';
    expect(warnings(text, { stages: [{}, {}, {}, { baseHasShell: true }] })).toEqual([
      "2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
      "7 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
    ]);
  });

  it("MultipleInstructionsDisallowed, at those without effect", () => {
    const text =
      'FROM base AS one\nCMD ["a"]\nCMD ["b"]\nENTRYPOINT ["c"]\nCMD ["d"]\nHEALTHCHECK CMD ["e"]\nHEALTHCHECK NONE\nFROM one\nCMD ["f"]\n';
    const reason = "should not be used in the same stage because only the last one will be used";
    expect(warnings(text)).toEqual([
      `2 MultipleInstructionsDisallowed: Multiple CMD instructions ${reason}`,
      `3 MultipleInstructionsDisallowed: Multiple CMD instructions ${reason}`,
      `6 MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions ${reason}`,
    ]);
  });

  it("LegacyKeyValueFormat", () => {
    expect(warnings("FROM base\nENV a b\nLABEL a b\nENV a=b\n")).toEqual([
      '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
      '3 LegacyKeyValueFormat: "LABEL key=value" should be used instead of legacy "LABEL key value" format',
    ]);
  });

  it("SecretsUsedInArgOrEnv, by whole words of names after expansion", () => {
    const text =
      "ARG GLOBAL_TOKEN\nFROM base\nARG api_KEY=x\nENV DB_PASSWORD=x USER_NAME=y\nENV PUBLIC_KEY=x TOKEN_FILE=y AUTH_VERSION=z\nENV KEYBOARD=x MONKEY=y TOKENS=t\nENV $k=x\nLABEL password=x\n";
    const warning = (line: number, where: string) =>
      `${line} SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (${where})`;
    expect(warnings(text, { expanded: { 7: ["APIKEY"] } })).toEqual([
      warning(3, 'ARG "api_KEY"'),
      warning(4, 'ENV "DB_PASSWORD"'),
      warning(7, 'ENV "APIKEY"'),
    ]);
  });

  it("WorkdirRelativePath, through the stages", () => {
    const text =
      "FROM base AS one\nWORKDIR a/b\nWORKDIR c\nFROM base AS two\nWORKDIR /a\nWORKDIR b\nFROM two AS three\nWORKDIR c\nFROM base AS four\nWORKDIR $D\nFROM base AS five\nWORKDIR d\n";
    const reason = "can have unexpected results if the base image changes";
    expect(warnings(text, { expanded: { 10: ["/abs"] } })).toEqual([
      `2 WorkdirRelativePath: Relative workdir "a/b" ${reason}`,
      `12 WorkdirRelativePath: Relative workdir "d" ${reason}`,
    ]);
  });

  it("UndefinedVar, but not for an ARG without a value", () => {
    const text = "FROM base AS one\nARG GIVEN\nENV PATH=$PAHT\nLABEL a=$GIVEN b=$none\nFROM one\nLABEL a=$GIVEN\n";
    expect(warnings(text, { undefined: { 3: ["PAHT"], 4: ["GIVEN", "none"], 6: ["GIVEN"] } })).toEqual([
      "3 UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?)",
      "4 UndefinedVar: Usage of undefined variable '$none'",
    ]);
  });

  it("CopyIgnoredFile", () => {
    const text = "FROM base\nCOPY secret.txt /a\nADD logs/x.log /b\nCOPY . /d/\nCOPY --from=one secret.txt /e\n";
    const expanded = { 2: ["./logs/../secret.txt", "ok"], 3: ["logs/x.log"], 4: ["."], 5: [] };
    expect(warnings(text, { expanded, dockerignore: ["secret.txt", "**/*.log"] })).toEqual([
      '2 CopyIgnoredFile: Attempting to Copy file "secret.txt" that is excluded by .dockerignore',
      '3 CopyIgnoredFile: Attempting to Add file "logs/x.log" that is excluded by .dockerignore',
    ]);
    expect(warnings(text, { expanded, dockerignore: ["*", "!ok"] })).toEqual([]);
    expect(warnings(text, { expanded, dockerignore: ["*"] })).toContain(
      '4 CopyIgnoredFile: Attempting to Copy file "." that is excluded by .dockerignore',
    );
    expect(warnings(text, { expanded })).toEqual([]);
  });

  it("ExposeProtoCasing and ExposeInvalidFormat", () => {
    const text = "FROM base\nEXPOSE 82/Udp 80/TCP 81/tcp\nEXPOSE 127.0.0.1:80:80 [::1]::8080 9000:9000 :7\n";
    const rule = "EXPOSE instruction should not define an IP address or host-port mapping";
    expect(warnings(text)).toEqual([
      "2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
      "2 ExposeProtoCasing: Defined protocol '82/Udp' in EXPOSE instruction should be lowercase",
      `3 ExposeInvalidFormat: ${rule}, found '127.0.0.1:80:80'`,
      `3 ExposeInvalidFormat: ${rule}, found '9000:9000'`,
      `3 ExposeInvalidFormat: ${rule}, found '[::1]::8080'`,
    ]);
  });

  it("InvalidBaseImagePlatform, which has no page", () => {
    const platformMismatch = { image: "base", expected: "linux/amd64", actual: "linux/arm64" };
    const [warning] = check("FROM base\n", { stages: [{ platformMismatch }] });
    expect(warning).toEqual({
      severity: "warning",
      rule: "InvalidBaseImagePlatform",
      message: 'Base image base was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
      description: "Base image platform does not match expected target platform",
      location: { file: "Dockerfile", startLine: 1, endLine: 1 },
    });
  });

  it("stop where the conversion did", () => {
    expect(warnings("FROM base\nSTOPSIGNAL NONSENSE\nCMD run it\n", { stages: [{ converted: 0 }] })).toEqual([]);
  });

  it("are left out where the file was only parsed", () => {
    const parsed = parseDockerfile("FROM base AS One\nCMD run it\n", "Dockerfile");
    const found = lintDockerfile({ name: "Dockerfile", parsed, facts: undefined, check: undefined });
    expect(found.map((warning) => warning.rule)).toEqual(["StageNameCasing"]);
  });
});

describe("options", () => {
  const text = "FROM base AS Build\nMAINTAINER me\nCMD run it\n";
  const rules = (source: string, known: Known = {}) => check(source, known).map(({ rule, message }) => rule ?? message);

  it("skip all or some", () => {
    expect(rules(`# check=skip=all\n${text}`)).toEqual([]);
    expect(rules(`# check=skip=StageNameCasing,JSONArgsRecommended behind a blank\n${text}`)).toEqual([
      "MaintainerDeprecated",
    ]);
  });

  it("of the build argument take the place of the directive's", () => {
    expect(rules(`# check=skip=all\n${text}`, { check: "skip=StageNameCasing" })).toEqual([
      "MaintainerDeprecated",
      "JSONArgsRecommended",
    ]);
  });

  it("in a comment count for the instruction below", () => {
    const source =
      "# a comment\n# check=skip=all\n\nFROM base AS Build\n# check=skip=JSONArgsRecommended\nCMD run it\nFROM base AS Test\nCMD run it\n";
    expect(rules(source)).toEqual(["StageNameCasing", "JSONArgsRecommended"]);
  });

  it("turn warnings into an error", () => {
    expect(rules(`# check=error=true;skip=MaintainerDeprecated\n${text}`).at(-1)).toBe(
      "lint violation found for rules: JSONArgsRecommended, StageNameCasing",
    );
    expect(rules("# check=error=true\nFROM base AS build\n")).toEqual([]);
    expect(rules("# check=skip=StageNameCasing;error=true\nFROM base AS Build\n")).toEqual([]);
  });

  it.each([
    ["skip", 'failed to parse check options: invalid check option "skip"'],
    ["leave=all", 'failed to parse check options: invalid check option "leave"'],
    ["error=maybe", 'failed to parse check options: failed to parse check option "error=maybe"'],
  ])("%s can't be read", (options, error) => {
    expect(check(`# check=${options}\nFROM base\n`)).toMatchObject([
      { severity: "error", message: error, location: { startLine: 1 } },
    ]);
  });

  it("of the build argument that can't be read are told apart", () => {
    expect(rules(text, { check: "x" })).toEqual([
      'failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: invalid check option "x"',
    ]);
  });
});

it("a file with an error is checked up to it, as far as its text goes", () => {
  const text = "FROM base AS One\nMAINTAINER me\nNONSENSE\nMAINTAINER you\n";
  expect(warnings(text)).toEqual([
    "1 StageNameCasing: Stage name 'One' should be lowercase",
    "2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label",
  ]);
});

it("the report is BuildKit's, one range per line", () => {
  const text = "FROM base\nENV a \\\n b\n";
  const error: Diagnostic = { severity: "error", message: "failed", location: { file: "D", startLine: 1, endLine: 1 } };
  const { json, exitCode } = checkReport({ name: "D", text, diagnostics: [...check(text), error] });
  expect(exitCode).toBe(1);
  expect(JSON.parse(json)).toEqual({
    warnings: [
      {
        ruleName: "LegacyKeyValueFormat",
        description: "Legacy key/value format with whitespace separator should not be used",
        url: "https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/",
        detail: '"ENV key=value" should be used instead of legacy "ENV key value" format',
        location: {
          ranges: [
            { start: { line: 2 }, end: { line: 2 } },
            { start: { line: 3 }, end: { line: 3 } },
          ],
        },
      },
    ],
    sources: [{ filename: "D", language: "Dockerfile", data: Buffer.from(text).toString("base64") }],
    buildError: { message: "failed", location: { ranges: [{ start: { line: 1 }, end: { line: 1 } }] } },
  });
  expect(checkReport({ name: "D", text, diagnostics: [] })).toMatchObject({ exitCode: 0 });
});
