import { describe, expect, it } from "vitest";
import type { CacheMountInfo } from "../../src/engine/cache-mount-tools.js";
import { finished } from "./world.js";

describe("prune", () => {
  it("takes the conditions of buildx", async () => {
    const words =
      "prune -f --filter until=24h --filter type=exec.cachemount --max-used-space 1gb --min-free-space 2kb".split(" ");
    const { calls, code } = await finished([...words, "--reserved-space", "3"]);
    expect(code).toBe(0);
    const conditions = { keepDurationMs: 86_400_000, maxUsedBytes: 2 ** 30, minFreeBytes: 2048, reservedBytes: 3 };
    expect(calls).toMatchObject([{ all: false, dryRun: false, ...conditions, filters: [expect.any(Function)] }]);
  });

  it("takes shares of the disk", async () => {
    const { calls } = await finished(["prune", "-f", "--max-used-space", "10%", "--min-free-space", "5%"]);
    expect(calls).toMatchObject([{ maxUsedBytes: { percent: 10 }, minFreeBytes: { percent: 5 } }]);
  });

  it("takes the old name of what is reserved, but not both", async () => {
    expect((await finished(["prune", "-f", "--keep-storage", "1kb"])).calls).toMatchObject([{ reservedBytes: 1024 }]);
    expect((await finished(["prune", "-f", "--keep-storage", "1", "--reserved-space", "1"])).code).toBe(125);
  });

  it.each([
    ["--filter", "color=red"],
    ["--filter", "type=foo"],
    ["--filter", "until=soon"],
    ["--filter", "id~=("],
    ["--max-used-space", "much"],
  ])("refuses %s %s", async (...words) => {
    expect((await finished(["prune", "-f", ...words])).code).toBe(125);
  });

  it("says beforehand what would go, without asking", async () => {
    const { out, calls } = await finished(["prune", "--dry-run", "--all"]);
    expect(calls).toMatchObject([{ all: true, dryRun: true }]);
    expect(out).toBe("Would remove 2 records\nWould reclaim: 1.50MB\n");
  });

  it("checks the store and ends with 1 if something is wrong", async () => {
    expect(await finished(["prune", "--check"])).toMatchObject({ code: 0, out: "Everything is in order.\n" });
    const faults = [{ kind: "lost layer", description: "layer 3 has no files" }] as const;
    const found = await finished(["prune", "--check"], { engine: { faults } });
    expect(found.code).toBe(1);
    expect(found.out).toMatch(/^lost layer: layer 3 has no files\nWhat is damaged is not used any more: .*\n$/);
  });

  it("says at the end of a check what to do about each kind of fault, once", async () => {
    const kinds = ["damaged image", "damaged image", "leftover file", "dead lease", "mount", "failed check"] as const;
    const faults = kinds.map((kind, i) => ({ kind, description: `number ${i}` }));
    const { out } = await finished(["prune", "--check"], { engine: { faults } });
    expect(out.split("\n").slice(kinds.length)).toEqual([
      "Build or pull the damaged images again, or remove them with `ashlar rmi`.",
      "`ashlar prune` removes what was left over.",
      "Take the mounts away with umount(8).",
      "What could not be looked at may be damaged: mend what the message says, and check again.",
      "",
    ]);
  });
});

describe("the size of the cache", () => {
  it("is a flag of a build, or of the environment", async () => {
    const optionsOf = async (words: readonly string[], env = {}) =>
      (await finished(["build", ...words, "--progress=none", "."], { env, cwd: import.meta.dirname })).options;
    expect(await optionsOf(["--cache-max-size=2gb"])).toMatchObject([{ cacheMaxSize: { bytes: 2 ** 31 } }]);
    expect(await optionsOf([], { ASHLAR_CACHE_MAX_SIZE: "10%" })).toMatchObject([{ cacheMaxSize: { percent: 10 } }]);
    expect((await finished(["build", "--cache-max-size=101%", "."])).code).toBe(125);
  });
});

describe("cache mounts", () => {
  const now = Date.now();
  const mounts: readonly CacheMountInfo[] = [
    { id: "/root/.npm", sizeBytes: 2_000_000, directories: 1, lastUsedAt: 0, inUse: false },
    { id: "go", sizeBytes: 1_000_000, directories: 2, lastUsedAt: now, inUse: true },
  ];

  it("are listed by id, with their sum for du", async () => {
    const { out } = await finished(["cache", "mounts", "ls"], { engine: { mounts } });
    expect(out).toMatch(/^ID +SIZE +LAST USED +IN USE\n\/root\/\.npm +2\.00MB +.* +false\ngo +1\.00MB +.* +true\n$/);
    expect((await finished(["cache", "mounts", "ls", "-q"], { engine: { mounts } })).out).toBe("/root/.npm\ngo\n");
    expect((await finished(["cache", "mounts", "du"], { engine: { mounts } })).out).toMatch(/^Total:\t\t3\.00MB$/m);
    const json = (await finished(["cache", "mounts", "ls", "--format=json"], { engine: { mounts } })).out.split("\n");
    expect(JSON.parse(json[1] ?? "")).toMatchObject({ ID: "go", Size: "1000000", InUse: true, Directories: 2 });
  });

  it("are removed by name, or all", async () => {
    expect((await finished(["cache", "mounts", "rm", "a", "b", "a"])).calls).toEqual([{ remove: ["a", "b"] }]);
    const all = await finished(["cache", "mounts", "rm", "--all"], { engine: { mounts } });
    expect(all.calls).toEqual([{ remove: ["/root/.npm", "go"] }]);
    expect((await finished(["cache", "mounts", "rm"])).code).toBe(125);
    expect((await finished(["cache", "mounts", "rm", "--all", "x"])).code).toBe(125);
  });

  it("go to archives and come from them, but not to a terminal", async () => {
    const exported = await finished(["cache", "mounts", "export", "go", "-o", "x.tar"], { cwd: "/w" });
    expect(exported.calls).toMatchObject([{ id: "go", dest: "/w/x.tar" }]);
    expect((await finished(["cache", "mounts", "export", "go"], { stdoutIsTerminal: true })).code).toBe(1);
    const imported = await finished(["cache", "mounts", "import", "go", "-i", "x.tar"], { cwd: "/w" });
    expect(imported.calls).toMatchObject([{ id: "go", from: "/w/x.tar" }]);
    expect((await finished(["cache", "mounts", "import", "go"], { stdinIsTerminal: true })).code).toBe(125);
  });
});
