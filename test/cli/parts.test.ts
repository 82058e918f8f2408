import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadProxyArgs, proxyArgsOf } from "../../src/cli/docker-config.js";
import { familiarName, splitName } from "../../src/cli/image-name.js";
import { formatAge } from "../../src/cli/table.js";
import { parseCsv } from "../../src/cli/values.js";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-parts-"));
afterAll(() => fs.rmSync(directory, { recursive: true }));

describe("docker's configuration", () => {
  it("gives proxies in both spellings", () => {
    const text = JSON.stringify({
      proxies: { default: { httpProxy: "http://p:1", noProxy: "localhost", ftpProxy: "" } },
    });
    expect(proxyArgsOf(text)).toEqual({
      HTTP_PROXY: "http://p:1",
      http_proxy: "http://p:1",
      NO_PROXY: "localhost",
      no_proxy: "localhost",
    });
  });

  it.each(["", "{", "null", "[]", '{"proxies": 3}', '{"proxies": {"default": {"httpProxy": 3}}}'])(
    "may be %j",
    (text) => expect(proxyArgsOf(text)).toEqual({}),
  );

  it("is read from DOCKER_CONFIG, and may be missing", () => {
    fs.writeFileSync(path.join(directory, "config.json"), '{"proxies": {"default": {"allProxy": "a"}}}');
    expect(loadProxyArgs({ env: { DOCKER_CONFIG: directory }, homeDirectory: "/nonexistent" })).toEqual({
      ALL_PROXY: "a",
      all_proxy: "a",
    });
    expect(loadProxyArgs({ env: {}, homeDirectory: "/nonexistent" })).toEqual({});
  });
});

describe("names of images", () => {
  it.each([
    ["docker.io/library/app:latest", "app", "app", "latest"],
    ["docker.io/me/app:1", "me/app:1", "me/app", "1"],
    ["reg.example:5000/x", "reg.example:5000/x", "reg.example:5000/x", "<none>"],
    ["reg.example:5000/x:2", "reg.example:5000/x:2", "reg.example:5000/x", "2"],
  ])("%s is %s, listed as %s and %s", (full, familiar, repository, tag) => {
    expect(familiarName(full)).toBe(familiar);
    expect(splitName(full)).toEqual({ repository, tag });
  });
});

describe("comma-separated values", () => {
  it.each([
    ["a,b", ["a", "b"]],
    ["", [""]],
    ["a,", ["a", ""]],
    ['"a,b",c', ["a,b", "c"]],
    ['"say ""hi"""', ['say "hi"']],
  ])("%j", (text, fields) => expect(parseCsv(text)).toEqual(fields));

  it.each(['"a', 'a"b', '"a"b'])("refuses %j", (text) =>
    expect(() => parseCsv(text)).toThrow("a quote is out of place"),
  );
});

describe("ages", () => {
  it.each([
    [0, "Less than a second ago"],
    [1_500, "1 second ago"],
    [59_999, "59 seconds ago"],
    [60_000, "About a minute ago"],
    [3_599_999, "59 minutes ago"],
    [3_600_000, "About an hour ago"],
    [7_200_000, "2 hours ago"],
    [47 * 3_600_000, "47 hours ago"],
    [48 * 3_600_000, "2 days ago"],
    [14 * 86_400_000, "2 weeks ago"],
    [60 * 86_400_000, "2 months ago"],
    [800 * 86_400_000, "2 years ago"],
    [-5, "Less than a second ago"],
  ])("of %i ms", (ms, words) => expect(formatAge(0, ms)).toBe(words));
});

describe("bin/ashlar", () => {
  it("says what is missing where the package was not built", () => {
    fs.cpSync("bin", path.join(directory, "bin"), { recursive: true });
    const { status, stderr } = spawnSync(process.execPath, [path.join(directory, "bin", "ashlar")], {
      encoding: "utf8",
    });
    expect(status).toBe(125);
    expect(stderr).toMatch(/^ERROR: .*dist\/cli\.cjs is missing; build it with: npm run build\n$/);
  });

  it("starts the bundle, whatever the type of the package around it", () => {
    fs.cpSync("bin", path.join(directory, "bin"), { recursive: true });
    fs.writeFileSync(path.join(directory, "package.json"), '{"type": "module"}');
    fs.mkdirSync(path.join(directory, "dist"), { recursive: true });
    fs.writeFileSync(path.join(directory, "dist", "cli.cjs"), "console.log(process.argv[2])");
    const { stdout } = spawnSync(path.join(directory, "bin", "ashlar"), ["hello"], { encoding: "utf8" });
    expect(stdout).toBe("hello\n");
  });
});
