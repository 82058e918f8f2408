import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const TEXT = `ARG VERSION=1
# tools has what the build needs
FROM base AS tools
# LENT is what the secret is called
ARG LENT=npm
RUN --mount=type=secret,id=$LENT,required=true exit 1
FROM tools
ENV a b
`;

test("checks, outlines and lists the targets of a Dockerfile without running it", async () => {
  const context = world.files({ Dockerfile: TEXT });
  const check = await world.build(["--check", context]);
  expect(check).toMatchObject({ code: 1, stdout: expect.stringMatching(/^Check complete, 1 warning has been found!/) });
  expect(check.stdout).toContain("WARNING: LegacyKeyValueFormat");
  const outline = await world.build(["--call=outline", "--build-arg", "LENT=other", context]);
  expect(outline).toMatchObject({
    code: 0,
    stdout:
      "BUILD ARG   VALUE   DESCRIPTION\nLENT        other   is what the secret is called\n\nSECRET   REQUIRED\nother    true\n\n",
  });
  expect(outline.stderr).toContain("1 warning found");
  const targets = await world.build(["--call=targets,format=json", context]);
  expect(JSON.parse(targets.stdout).targets).toMatchObject([
    { name: "tools", description: "has what the build needs", base: "base" },
    { default: true, base: "tools" },
  ]);
});

test("a check of a file with several mistakes lists them all, with what to write instead", async () => {
  const context = world.files({ Dockerfile: "FROM base\nCOPPY a b\nRUN --mont=x true\n" });
  const ended = await world.build(["--call=check,format=json", context]);
  expect(ended.code).toBe(1);
  const { warnings, buildError, diagnostics } = JSON.parse(ended.stdout);
  expect(warnings).toEqual([]);
  expect(buildError).toMatchObject({ location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] } });
  expect(diagnostics).toMatchObject([
    {
      severity: "error",
      suggestion: "COPY",
      range: { start: { line: 2, character: 0 }, end: { line: 2, character: 5 } },
    },
    { severity: "error", range: { start: { line: 3, character: 4 } } },
  ]);
});

test("the warnings in the metadata file of a build are those of a check, to the character", async () => {
  const context = world.files({ Dockerfile: "FROM scratch as x\nENV a=$b \\\n  c=d\n" });
  const file = path.join(context, "meta.json");
  expect((await world.build(["--metadata-file", file, context])).code).toBe(0);
  const checked = JSON.parse((await world.build(["--call=check,format=json", context])).stdout);
  const built = JSON.parse(fs.readFileSync(file, "utf8"));
  expect(built["ashlar.diagnostics"]).toEqual(checked.diagnostics);
  expect(built["ashlar.diagnostics"]).toHaveLength(2);
});

test("the metadata file of a failed build says what failed, where and how", async () => {
  const context = world.files({ Dockerfile: "FROM base as x\nRUN exit 42\n" });
  const file = path.join(context, "meta.json");
  expect((await world.build(["--metadata-file", file, context])).code).toBe(1);
  expect(JSON.parse(fs.readFileSync(file, "utf8"))).toMatchObject({
    "ashlar.diagnostics": [
      { severity: "warning", rule: "FromAsCasing", file: "Dockerfile" },
      { severity: "error", range: { start: { line: 2, character: 0 }, end: { line: 2, character: 11 } } },
    ],
    "ashlar.failure": { code: "failed", step: expect.stringContaining("RUN exit 42"), exitCode: 42 },
  });
});

test("error=true refuses before anything runs", async () => {
  const context = world.files({ Dockerfile: "# check=error=true\nFROM base as x\nRUN echo ran\n" });
  const ended = await world.build([context]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain("ERROR: lint violation found for rules: FromAsCasing");
  expect(ended.stderr).not.toContain("RUN echo ran");
  const other = await world.build(["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=FromAsCasing;error=true", context]);
  expect(other.code).toBe(0);
});
