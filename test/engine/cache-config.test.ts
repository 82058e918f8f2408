import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { targetBytes } from "../../src/cache/index.js";
import { cacheConfigFiles, loadCachePolicies } from "../../src/engine/cache-config.js";

const disk = { totalBytes: 1e6, freeBytes: 1e6 };

describe("where policies are written", () => {
  it("is the user's own file before the machine's, or the one that is named", () => {
    expect(cacheConfigFiles({}, "/home/me")).toEqual([
      "/home/me/.config/ashlar/ashlar.toml",
      "/etc/ashlar/ashlar.toml",
    ]);
    expect(cacheConfigFiles({ ASHLAR_CONFIG: "" }, "/home/me")).toHaveLength(2);
    expect(cacheConfigFiles({ ASHLAR_CONFIG: "/dev/null" }, "/home/me")).toEqual(["/dev/null"]);
  });

  it("is told where the named one isn't there", () => {
    const named = () => cacheConfigFiles({ ASHLAR_CONFIG: "/nowhere/ashlar.toml" }, "/home/me");
    expect(named).toThrow("reading how large the cache may be from /nowhere/ashlar.toml (ASHLAR_CONFIG): no such file");
  });
});

describe("policies in a file", () => {
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message.replace(/^.*\//, ""));
  const load = (text: string, options: Partial<Parameters<typeof loadCachePolicies>[0]> = {}) => {
    warnings.length = 0;
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "policies-"));
    try {
      const file = path.join(directory, "ashlar.toml");
      fs.writeFileSync(file, text);
      return loadCachePolicies({ files: [path.join(directory, "none"), file], disk, onWarning, ...options });
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  };

  it("are those of buildkitd", () => {
    const text = [
      "[[gc.policy]]",
      'reservedSpace = "1KB"',
      "maxUsedSpace = 5000",
      'minFreeSpace = "10%"',
      "keepDuration = 172800",
      'filters = [ "type==source.local", "type==exec.cachemount"]',
      "[[gc.policy]]",
      "all = true",
      'keepDuration = "1h30m"',
    ].join("\n");
    const [first, second, ...others] = load(text);
    expect(others).toEqual([]);
    expect(first).toMatchObject({ all: false, reservedBytes: 1024, maxUsedBytes: 5000, minFreeBytes: 100_000 });
    expect(first).toMatchObject({ keepDurationMs: 172_800_000, filters: [expect.any(Function), expect.any(Function)] });
    expect(second).toMatchObject({ all: true, keepDurationMs: 5_400_000, filters: [] });
  });

  it("are the usual ones with other bounds, or none", () => {
    expect(load('[gc]\nmaxUsedSpace = "1kb"').at(-1)).toMatchObject({ maxUsedBytes: 1024, reservedBytes: 1024 });
    expect(load("[gc]\nenabled = false")).toEqual([]);
    const [reserving] = load('[gc]\nreservedSpace = "2kb"\nmaxUsedSpace = "1kb"').slice(-1);
    expect(reserving && targetBytes(reserving, 4096, disk)).toBe(2048);
    const own = load('[gc]\nreservedSpace = "2kb"', { maxUsed: { bytes: 7 } }).at(-1);
    expect(own).toMatchObject({ reservedBytes: 7, maxUsedBytes: 7 });
    expect(load("[gc]\nenabled = false", { maxUsed: { bytes: 7 } }).at(-1)).toMatchObject({ maxUsedBytes: 7 });
    expect(load("[[gc.policy]]\nall = true", { maxUsed: { percent: 50 } }).at(-1)).toMatchObject({
      maxUsedBytes: 500_000,
    });
  });

  it("may be those of a worker, as buildkitd understands them", () => {
    const pasted = [
      'root = "/var/lib/buildkit"',
      '[registry."docker.io"]',
      'mirrors = ["mirror"]',
      "[worker.oci]",
      "enabled = false",
      "gckeepstorage = 7",
      "[worker.containerd]",
      'namespace = "buildkit"',
      "GC = true",
      "[[worker.containerd.gcpolicy]]",
      "keepBytes = 4096",
      'keepduration = "1h"',
      "maxUsedSpace = 0",
      "all = true",
    ].join("\n");
    expect(load(pasted)).toEqual([
      {
        all: true,
        filters: [],
        keepDurationMs: 3_600_000,
        reservedBytes: 4096,
        maxUsedBytes: undefined,
        minFreeBytes: undefined,
      },
    ]);
    expect(warnings).toEqual([]);
    expect(load("[worker.oci]\ngc = false")).toEqual([]);
    const last = (text: string) => load(`[worker.oci]\n${text}`).at(-1);
    expect(last("gckeepstorage = 9000")).toMatchObject({ reservedBytes: 9000, maxUsedBytes: 9000 });
    expect(last("reservedSpace = 8000\ngckeepstorage = 9000")).toMatchObject({
      reservedBytes: 8000,
      maxUsedBytes: 8000,
      minFreeBytes: 0,
    });
    expect(last("maxUsedSpace = 9000")).toMatchObject({ reservedBytes: 0, maxUsedBytes: 9000, minFreeBytes: 0 });
    expect(last('minFreeSpace = "50%"')).toMatchObject({
      reservedBytes: 0,
      maxUsedBytes: 1_000_000,
      minFreeBytes: 500_000,
    });
  });

  it("are the usual ones where an empty list is written", () => {
    expect(load("[gc]\npolicy = []")).toHaveLength(4);
    expect(load("[gc]\ngckeepstorage = 1").at(-1)).toMatchObject({ reservedBytes: 1, maxUsedBytes: 1 });
  });

  it("are told of where they count for nothing", () => {
    load(
      '[gc]\nmaxUsedSpce = 1\ncolour = 2\n\n[[gc.policy]]\nall = true\nkeepDurration = "1h"\n[wroker]\n[worker.osi]',
    );
    expect(warnings).toEqual([
      "ashlar.toml, line 8: wroker is no key that counts here (did you mean worker?)",
      "ashlar.toml, line 9: osi is no key of [worker] that counts here (did you mean oci?)",
      "ashlar.toml, line 2: maxUsedSpce is no key of [gc] that counts here (did you mean maxUsedSpace?)",
      "ashlar.toml, line 3: colour is no key of [gc] that counts here",
      "ashlar.toml, line 7: keepDurration is no key of [[gc.policy]] that counts here (did you mean keepDuration?)",
    ]);
    load("[gc]\nmaxUsedSpace = 5\n[worker.oci]\nmaxUsedSpace = 6");
    expect(warnings).toEqual([
      "ashlar.toml: what [worker.oci] says of the cache's size counts for nothing beside [gc]",
    ]);
  });

  it.each([
    ['[gc]\nmaxUsedSpace = "much"', /ashlar\.toml, line 2: maxUsedSpace of \[gc\] must be a size/],
    ["[[gc.policy]]\nkeepDuration = true", /line 2: keepDuration of \[\[gc\.policy\]\] must be a duration/],
    ['[[gc.policy]]\nfilters = "type==x"', /filters of \[\[gc\.policy\]\] must be a list/],
    ['[[gc.policy]]\nall = true\nfilters = ["color==x"]', /ashlar\.toml, line 3: .*color is no field/],
    ["[gc]\npolicy = 5", /line 2: policy of \[gc\] must be tables: \[\[gc\.policy\]\]/],
    ["gc = 3", /gc must be a table: \[gc\]/],
    ["[gc", /line 1/],
  ])("that can't be read are refused: %j", (text, message) => {
    expect(() => load(text)).toThrow(message);
  });
});
