import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { tabulated } from "../../src/cli/aligned-columns.js";
import { type BuildDiagnostic, BuildFailure, type OutlineReport, type TargetsReport } from "../../src/engine/result.js";
import { finished } from "./world.js";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-call-"));
afterAll(() => fs.rmSync(directory, { recursive: true }));

const TEXT = "FROM a AS X\nENV a \\\n  b\nSTOPSIGNAL no\n";
const source = { file: "Dockerfile", text: TEXT };
const DATA = Buffer.from(TEXT).toString("base64");

function at(startLine: number, endLine = startLine) {
  return { file: "Dockerfile", startLine, endLine };
}

function lines(...numbers: number[]) {
  return { ranges: numbers.map((line) => ({ start: { line }, end: { line } })) };
}

const LEGACY: BuildDiagnostic = {
  severity: "warning",
  rule: "LegacyKeyValueFormat",
  message: "use ENV key=value",
  description: "d",
  url: "https://example.org/legacy",
  ...at(2, 3),
};
const PLATFORM: BuildDiagnostic = { severity: "warning", rule: "InvalidBaseImagePlatform", message: "other", ...at(1) };
const SIGNAL: BuildDiagnostic = {
  severity: "error",
  message: "invalid signal: no (did you mean NO?)",
  suggestion: "NO",
  hint: "Name a signal.",
  ...at(4),
  culprit: { start: { line: 4, character: 11 }, end: { line: 4, character: 13 } },
};

function ask(call: string, engine: NonNullable<Parameters<typeof finished>[1]>["engine"], ...flags: string[]) {
  return finished(["build", `--call=${call}`, ...flags, directory], { engine: engine ?? {} });
}

describe("--call=check", () => {
  it("says that there is nothing to say, and ends with 0", async () => {
    expect(await ask("check", {})).toMatchObject({ code: 0, out: "Check complete, no warnings found.\n", err: "" });
    expect(await finished(["build", "--check", directory])).toMatchObject({ code: 0 });
  });

  it("tells warnings by line and ends with 1, or with 0 where that is wanted", async () => {
    const check = { diagnostics: [LEGACY, PLATFORM], source };
    const { code, out, err, requests } = await ask("check", { check }, "--target=x");
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(requests).toMatchObject([{ context: directory, target: "x" }]);
    expect(out).toBe(
      [
        "Check complete, 2 warnings have been found!",
        "",
        "WARNING: InvalidBaseImagePlatform",
        "other",
        "Dockerfile:1",
        "--------------------",
        "   1 | >>> FROM a AS X",
        "   2 |     ENV a \\",
        "   3 |       b",
        "--------------------",
        "",
        "WARNING: LegacyKeyValueFormat - https://example.org/legacy",
        "use ENV key=value",
        "Dockerfile:2",
        "--------------------",
        "   1 |     FROM a AS X",
        "   2 | >>> ENV a \\",
        "   3 | >>>   b",
        "   4 |     STOPSIGNAL no",
        "--------------------",
        "",
      ].join("\n"),
    );
    expect(await ask("check,ignorestatus=true", { check })).toMatchObject({ code: 0 });
  });

  it("tells mistakes on standard error, after the warnings", async () => {
    const broken = await ask("check,ignorestatus=true", { check: { diagnostics: [SIGNAL], source } });
    expect(broken).toMatchObject({ code: 1, out: "" });
    expect(broken.err).toContain("   4 | >>> STOPSIGNAL no\n     |                ^^\n");
    expect(broken.err).toContain(`ERROR: ${SIGNAL.message}\nName a signal.\n`);
    const both = await ask("check", { check: { diagnostics: [PLATFORM, SIGNAL, SIGNAL], source } });
    expect(both.code).toBe(1);
    expect(both.out).toMatch(/^Check complete, 1 warning has been found!\n.*\n\n$/s);
    expect(both.err.split(SIGNAL.message)).toHaveLength(3);
  });

  it("is data in BuildKit's form, with every diagnostic beside it", async () => {
    const check = { diagnostics: [LEGACY, PLATFORM, SIGNAL, { ...SIGNAL, message: "no", ...at(4) }], source };
    const { code, out, err } = await ask("check,format=json", { check });
    expect(code).toBe(1);
    expect(err).toContain("ERROR: invalid signal");
    expect(JSON.parse(out)).toMatchObject({
      warnings: [
        {
          ruleName: "LegacyKeyValueFormat",
          description: "d",
          url: "https://example.org/legacy",
          detail: "use ENV key=value",
          location: lines(2, 3),
        },
        { ruleName: "InvalidBaseImagePlatform", detail: "other", location: lines(1) },
      ],
      sources: [{ filename: "Dockerfile", language: "Dockerfile", data: DATA }],
      buildError: { message: SIGNAL.message, location: lines(4) },
      diagnostics: [
        { rule: "LegacyKeyValueFormat", range: { start: { line: 2, character: 0 }, end: { line: 3, character: 3 } } },
        { rule: "InvalidBaseImagePlatform" },
        {
          severity: "error",
          message: SIGNAL.message,
          suggestion: "NO",
          hint: "Name a signal.",
          file: "Dockerfile",
          range: SIGNAL.culprit,
        },
        { message: "no" },
      ],
    });
    const unplaced = await ask("check,format=json", {
      check: { diagnostics: [{ severity: "error", message: "m" }], source },
    });
    expect(JSON.parse(unplaced.out).buildError).toEqual({ message: "m", location: {} });
  });

  it("goes to the metadata file as buildx writes it", async () => {
    const meta = path.join(directory, "check.json");
    await ask("check", { check: { diagnostics: [PLATFORM], source } }, "--metadata-file", meta);
    expect(JSON.parse(fs.readFileSync(meta, "utf8"))).toMatchObject({
      "result.json": { warnings: [{ ruleName: "InvalidBaseImagePlatform" }] },
      "result.statuscode": "1",
      "result.txt": expect.stringContaining("WARNING: InvalidBaseImagePlatform"),
      version: "1.0.0",
      "ashlar.diagnostics": [{ severity: "warning", rule: "InvalidBaseImagePlatform" }],
    });
  });
});

describe("--call=outline", () => {
  const outline: OutlineReport = {
    name: "target",
    description: "defines the build",
    args: [
      { name: "A", value: "1", description: "is first", location: at(1) },
      { name: "LONGER", value: undefined, description: undefined, location: at(2, 3) },
    ],
    secrets: [{ name: "token", required: true, location: at(4) }],
    ssh: [{ name: "default", required: false, location: at(4) }],
    source,
  };

  it("is a table for each kind", async () => {
    const { code, out } = await ask("outline", { outline });
    expect(code).toBe(0);
    expect(out).toBe(
      [
        "TARGET:      target",
        "DESCRIPTION: defines the build",
        "",
        "BUILD ARG   VALUE   DESCRIPTION",
        "A           1       is first",
        "LONGER              ",
        "",
        "SECRET   REQUIRED",
        "token    true",
        "",
        "SSH       REQUIRED",
        "default   ",
        "",
        "",
      ].join("\n"),
    );
    expect(await ask("outline", {})).toMatchObject({ code: 0, out: "" });
  });

  it("is data in BuildKit's form", async () => {
    const { out } = await ask("outline,format=json", { outline });
    expect(JSON.parse(out)).toEqual({
      name: "target",
      description: "defines the build",
      args: [
        { name: "A", description: "is first", value: "1", location: lines(1) },
        { name: "LONGER", location: lines(2, 3) },
      ],
      secrets: [{ name: "token", required: true, location: lines(4) }],
      ssh: [{ name: "default", location: lines(4) }],
      sources: [DATA],
    });
  });
});

describe("--call=targets", () => {
  const target = { name: undefined, description: undefined, isDefault: false, base: "b", platform: undefined };
  const targets: TargetsReport = {
    targets: [
      { ...target, name: "build", description: "makes the program", platform: "$BUILDPLATFORM", location: at(1) },
      { ...target, location: at(2) },
      { ...target, name: "bin", isDefault: true, location: at(4) },
    ],
    source,
  };

  it("is a table", async () => {
    expect(await ask("targets", { targets })).toMatchObject({
      code: 0,
      out: "TARGET        DESCRIPTION\nbuild         makes the program\n              \nbin (default) \n",
    });
  });

  it("is data in BuildKit's form", async () => {
    const { out } = await ask("targets,format=json", { targets });
    expect(JSON.parse(out)).toEqual({
      targets: [
        { name: "build", description: "makes the program", base: "b", platform: "$BUILDPLATFORM", location: lines(1) },
        { base: "b", location: lines(2) },
        { name: "bin", default: true, base: "b", location: lines(4) },
      ],
      sources: [DATA],
    });
  });
});

describe("--call=subrequests.describe", () => {
  it("lists what can be asked, without an engine", async () => {
    const { out, options } = await ask("subrequests.describe", {});
    expect(out.split("\n")[0]).toBe("NAME                 VERSION DESCRIPTION");
    expect(options).toEqual([]);
    const { out: json } = await ask("subrequests.describe,format=json", {});
    expect(JSON.parse(json).map(({ name }: { name: string }) => name)).toEqual([
      "frontend.outline",
      "frontend.targets",
      "frontend.subrequests.describe",
    ]);
  });
});

describe("a call", () => {
  it.each([
    ["--call=nothing", 'invalid value "nothing" for --call: it is one of check, outline'],
    ["--call=check,format=xml", 'invalid value "xml" for format of --call'],
    ["--call=check,targets", 'invalid field "targets" in --call=check,targets'],
    ["--call=check,colour=red", 'invalid field "colour=red"'],
    ["--call=check,ignorestatus=perhaps", "ignorestatus"],
  ])("%s is refused with 125", async (flag, words) => {
    const { code, err } = await finished(["build", flag, directory]);
    expect(code).toBe(125);
    expect(err).toContain(words);
  });

  it("makes nothing, whatever outputs there are", async () => {
    const args = ["build", "--check", "--load", "-o", "type=tar,dest=-", "-t", "x", directory];
    const { code, out } = await finished(args, { env: { PATH: "/nonexistent" }, stdoutIsTerminal: true });
    expect({ code, out }).toEqual({ code: 0, out: "Check complete, no warnings found.\n" });
  });

  it("is one question", async () => {
    const { code, err } = await finished(["build", "--check", "--call=outline", directory]);
    expect(code).toBe(125);
    expect(err).toContain("--check and --call cannot be used together");
  });

  it("that can't be answered ends with 1 and says why", async () => {
    const failure = new BuildFailure("invalid", SIGNAL.message, {
      source: { ...source, startLine: 4, endLine: 4 },
      diagnostics: [SIGNAL],
    });
    const outline = () => Promise.reject(failure);
    const { code, out, err } = await finished(["build", "--call=outline", directory], { engine: { outline } });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("ERROR: invalid signal");
  });
});

it("columns are aligned by characters, and nothing follows the last", () => {
  expect(
    tabulated(
      [
        ["ä", "b"],
        ["ccc", ""],
      ],
      2,
    ),
  ).toBe("ä    b\nccc  \n");
  expect(tabulated([], 1)).toBe("");
});
