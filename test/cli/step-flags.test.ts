import { describe, expect, it } from "vitest";
import { parseAllow } from "../../src/cli/allow-flag.js";
import type { BuildFlags } from "../../src/cli/build-flags.js";
import { parseBuild } from "../../src/cli/build-request.js";
import { parseResources } from "../../src/cli/resource-flags.js";
import { parseSsh } from "../../src/cli/ssh-flag.js";
import { UsageError } from "../../src/cli/usage-error.js";

describe("--ssh", () => {
  const env = { SSH_AUTH_SOCK: "/run/agent" };
  const parse = (text: string) => parseSsh(text, env, "/home/me");
  it("takes the agent of the environment, a socket, or keys", () => {
    expect(parse("default")).toEqual({ id: "default", paths: ["/run/agent"] });
    expect(parse("git=")).toEqual({ id: "git", paths: ["/run/agent"] });
    expect(parse("git=sock")).toEqual({ id: "git", paths: ["/home/me/sock"] });
    expect(parse("git=.ssh/a,/b")).toEqual({ id: "git", paths: ["/home/me/.ssh/a", "/b"] });
  });
  it("says what is missing", () => {
    expect(() => parseSsh("default", {}, "/")).toThrow("make sure SSH_AUTH_SOCK is set");
    expect(() => parse("git=a,,b")).toThrow(UsageError);
  });
});

describe("--resource", () => {
  const parse = (...resource: readonly string[]) => parseResources({ resource });
  it("bounds memory and CPU", () => {
    expect(parse("memory=2g", "memory-swap=-1", "cpu-shares=512", "cpu-period=100000", "cpu-quota=50000")).toEqual({
      memoryBytes: 2 * 1024 ** 3,
      memorySwapBytes: -1,
      cpuShares: 512,
      cpuPeriod: 100_000,
      cpuQuota: 50_000,
    });
    expect(parse("cpuset-cpus=0-3,7", "cpuset-mems=0")).toEqual({ cpusetCpus: "0-3,7", cpusetMems: "0" });
    expect(parse("memory = 1m ", "memory=2m")).toEqual({ memoryBytes: 2 << 20 });
  });
  it("is nothing where nothing is bounded", () => {
    expect(parse()).toBeUndefined();
    expect(parse("memory=0", "cpu-quota=-1", "cpuset-cpus=")).toBeUndefined();
  });
  it("wins over the flags of docker build", () => {
    const old = {
      memory: "1g",
      memorySwap: "2g",
      cpuShares: "2",
      cpuPeriod: "3",
      cpuQuota: "4",
      cpusetCpus: "0",
      cpusetMems: "1",
    };
    expect(parseResources({ ...old, resource: ["memory=5k"] })).toEqual({
      memoryBytes: 5 * 1024,
      memorySwapBytes: 2 * 1024 ** 3,
      cpuShares: 2,
      cpuPeriod: 3,
      cpuQuota: 4,
      cpusetCpus: "0",
      cpusetMems: "1",
    });
  });
  it.each([
    ["memory", 'invalid resource "memory", expected key=value'],
    ["disk=1", 'unknown resource "disk"'],
    ["memory=much", "for resource memory"],
    ["cpu-shares=1.5", "for resource cpu-shares"],
    ["cpu-quota=-2", "for resource cpu-quota"],
    ["cpuset-cpus=3-1", "for resource cpuset-cpus"],
    ["cpuset-cpus=0-99999", "for resource cpuset-cpus"],
  ])("refuses %s", (text, words) => {
    expect(() => parse(text)).toThrow(words);
  });
});

describe("--allow", () => {
  it("takes entitlements by name, and devices with their names", () => {
    expect(parseAllow("network.host,security.insecure")).toEqual(["network.host", "security.insecure"]);
    expect(parseAllow("device")).toEqual(["device"]);
    expect(parseAllow("device=nvidia.com/gpu=all,alias=gpu")).toEqual(["device=nvidia.com/gpu=all,alias=gpu"]);
  });
  it("refuses others", () => {
    expect(() => parseAllow("network.all")).toThrow(UsageError);
    expect(() => parseAllow("device=a,b=c")).toThrow("unknown option b=c");
  });
});

describe("what a build's request has of them", () => {
  const request = (flags: BuildFlags, proxyArgs: Readonly<Record<string, string>> = {}) =>
    parseBuild(flags, ".", { env: {}, cwd: "/c", proxyArgs, localPlatform: "linux/amd64" }).request;
  it("is all of it", () => {
    const flags = { ssh: ["a=k"], resource: ["memory=1m"], allow: ["device=x"], addHost: ["h:10.0.0.1,[::2]"] };
    expect(request(flags)).toMatchObject({
      ssh: [{ id: "a", paths: ["/c/k"] }],
      resources: { memoryBytes: 1 << 20 },
      allow: ["device=x"],
      extraHosts: [
        { host: "h", ip: "10.0.0.1" },
        { host: "h", ip: "::2" },
      ],
    });
    expect(request({})).not.toHaveProperty("resources");
  });
  it("has the proxies of the configuration, unless a build argument says otherwise in either spelling", () => {
    const proxies = { HTTP_PROXY: "c", http_proxy: "c", NO_PROXY: "n", no_proxy: "n" };
    expect(request({ buildArg: ["http_proxy=mine"] }, proxies).buildArgs).toEqual({
      http_proxy: "mine",
      NO_PROXY: "n",
      no_proxy: "n",
    });
  });
});
