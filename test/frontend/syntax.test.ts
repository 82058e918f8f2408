import { describe, expect, it } from "vitest";
import { detectSyntax } from "../../src/frontend/dockerfile/directives.js";
import { refuseOtherSyntax } from "../../src/frontend/dockerfile/syntax.js";
import { requestFor } from "./convert-fixture.js";

/** How a build of TEXT is refused for its language; undefined where it is not. */
function refusal(text: string, argument?: string): unknown {
  const buildArgs = new Map(argument === undefined ? [] : [["BUILDKIT_SYNTAX", argument]]);
  try {
    refuseOtherSyntax(requestFor(text, { buildArgs }));
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("the language of a file", () => {
  it.each([
    ["# syntax=a/b:1 x=y\n", "a/b:1 x=y", 1],
    ["\ufeff#!/usr/bin/env x\n#SynTax = a \r\n", "a", 2],
    ["# escape=`\n# check=skip=all\n# syntax=a\n", "a", 3],
    ["// syntax=a\nfn main() {}\n", "a", 1],
    ["#!x\n// check=b\n// syntax = a\n", "a", 3],
    ['{ "version": 2, "syntax": "a b" }', "a b", 1],
    ['#!x\n{"syntax":"a"}', "a", 1],
  ])("%j is %s", (text, syntax, line) => {
    expect(detectSyntax(text)).toMatchObject({ text: syntax, range: { start: { line } } });
  });

  it.each([
    "FROM a\n# syntax=a\n",
    "\n# syntax=a\n",
    " # syntax=a\n",
    "# a comment\n# syntax=a\n",
    "# syntax=\n",
    '{"syntax":1}',
    '{"syntax":"a"} FROM x',
    '["syntax"]',
  ])("%j is a Dockerfile", (text) => {
    expect(detectSyntax(text)).toBeUndefined();
  });

  it.each([
    "docker/dockerfile",
    "docker/dockerfile:1.7-labs",
    "docker.io/docker/dockerfile-upstream:master-labs",
    `docker/dockerfile:1@sha256:${"a".repeat(64)}`,
    "mirror.example/proxy/docker/dockerfile:1 ignored=yes",
    "dockerfile.v0",
  ])("may be %s, which is built in", (syntax) => {
    expect(refusal(`# syntax=${syntax}\nFROM scratch`)).toBeUndefined();
    expect(refusal("# syntax=other\nFROM scratch", syntax)).toBeUndefined();
  });

  it("is refused at its place where it is another one", () => {
    expect(refusal('#!x\n# syntax=example/front"end:2 x\nFROM scratch')).toMatchObject({
      code: "unsupported",
      message: 'the syntax "example/front\\"end:2" is not supported, only Dockerfiles are',
      hint: "Leave it out, or name docker/dockerfile:1.",
      diagnostics: [
        {
          location: { file: "Dockerfile", startLine: 2, endLine: 2 },
          culprit: { start: { line: 2, character: 9 }, end: { line: 2, character: 30 } },
        },
      ],
    });
  });

  it("is refused by name where the build argument, which comes first, is another one", () => {
    expect(refusal("# syntax=docker/dockerfile:1\nFROM scratch", " other x")).toMatchObject({
      code: "unsupported",
      message: 'the syntax "other" of the build argument BUILDKIT_SYNTAX is not supported, only Dockerfiles are',
    });
  });
});
