import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
  platformRank,
  runnablePlatforms,
  samePlatform,
} from "../../src/oci/index.js";

const amd64: Platform = { os: "linux", architecture: "amd64" };
const arm64: Platform = { os: "linux", architecture: "arm64" };
const read = (text: string, host = amd64): string => formatPlatform(parsePlatform(text, host));

describe("parsePlatform", () => {
  it.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v2", "linux/amd64/v2"],
    ["Linux/X86_64", "linux/amd64"],
    ["linux/x86-64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm64/v9.0", "linux/arm64/v9"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/6", "linux/arm/v6"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/i386", "linux/386"],
    ["macos/arm64", "darwin/arm64"],
    ["windows(10.0.17763)/amd64", "windows/amd64"],
    ["plan10/z80", "plan10/z80"],
  ])("reads %s as %s", (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  it("takes what a single word leaves out from the host", () => {
    expect(read("linux", arm64)).toBe("linux/arm64");
    expect(read("windows", arm64)).toBe("windows/arm64");
    expect(read("amd64", arm64)).toBe("linux/amd64");
    expect(read("aarch64")).toBe("linux/arm64");
    expect(read("local", { ...arm64, variant: "v8" })).toBe("linux/arm64");
  });

  it("keeps the OS version", () => {
    expect(parsePlatform("windows(10.0.17763)/amd64", amd64).osVersion).toBe("10.0.17763");
  });

  it.each([
    ["nonsense", '"nonsense": unknown operating system or architecture: invalid argument'],
    ["linux/*", '"linux/*": wildcards not yet supported: invalid argument'],
    ["a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'],
  ])("refuses %s", (text, message) => {
    expect(() => parsePlatform(text, amd64)).toThrow(message);
  });

  it.each(["", "/", "linux/", "linux//v7", "lin ux/amd64", "linux/am d64", "linux(/amd64"])("refuses %j", (text) => {
    expect(() => parsePlatform(text, amd64)).toThrow(/invalid/);
  });

  it("reads back what it writes", () => {
    const word = fc.constantFrom("linux", "windows", "amd64", "arm64", "arm", "x86_64", "v7", "v8", "v2", "6", "s390x");
    fc.assert(
      fc.property(word, word, fc.option(word, { nil: undefined }), (os, architecture, variant) => {
        const platform = normalizePlatform({ os, architecture, variant });
        expect(parsePlatform(formatPlatform(platform), amd64)).toEqual(platform);
        expect(normalizePlatform(platform)).toEqual(platform);
      }),
    );
  });
});

describe("platformRank", () => {
  const rank = (wanted: string, candidate: string) =>
    platformRank(parsePlatform(wanted, amd64), parsePlatform(candidate, amd64));

  it("prefers the platform itself, then lower variants, then the 32-bit sibling", () => {
    expect(runnablePlatforms(parsePlatform("linux/amd64/v3", amd64)).map(formatPlatform)).toEqual([
      "linux/amd64/v3",
      "linux/amd64/v2",
      "linux/amd64",
      "linux/386",
    ]);
    expect(runnablePlatforms(parsePlatform("linux/arm/v7", amd64)).map(formatPlatform)).toEqual([
      "linux/arm/v7",
      "linux/arm/v6",
      "linux/arm/v5",
    ]);
    expect(runnablePlatforms(arm64).map(formatPlatform)).toEqual([
      "linux/arm64",
      "linux/arm/v8",
      "linux/arm/v7",
      "linux/arm/v6",
      "linux/arm/v5",
    ]);
  });

  it("lets ARMv9 run the ARMv8 it includes", () => {
    expect(rank("linux/arm64/v9.2", "linux/arm64/v9.1")).toBe(1);
    expect(rank("linux/arm64/v9.2", "linux/arm64/v8.7")).toBeDefined();
    expect(rank("linux/arm64/v9.2", "linux/arm64/v8.8")).toBeUndefined();
    expect(rank("linux/arm64/v8.2", "linux/arm64")).toBe(2);
  });

  it("matches nothing newer and nothing else", () => {
    expect(rank("linux/amd64", "linux/amd64/v2")).toBeUndefined();
    expect(rank("linux/amd64", "linux/arm64")).toBeUndefined();
    expect(rank("linux/arm/v6", "linux/arm/v7")).toBeUndefined();
    expect(rank("linux/amd64", "windows/amd64")).toBeUndefined();
    expect(platformRank(amd64, { os: "unknown", architecture: "unknown" })).toBeUndefined();
  });

  it("is best for the platform itself, however that is written", () => {
    expect(rank("linux/arm64", "linux/arm64/v8")).toBe(0);
    expect(samePlatform({ os: "linux", architecture: "x86_64" }, amd64)).toBe(true);
  });
});

describe("hostPlatform", () => {
  it("translates the names of Node", () => {
    expect(formatPlatform(hostPlatform("x64"))).toBe("linux/amd64");
    expect(formatPlatform(hostPlatform("arm64"))).toBe("linux/arm64");
    expect(formatPlatform(hostPlatform("arm"))).toBe("linux/arm/v7");
    expect(formatPlatform(hostPlatform("riscv64"))).toBe("linux/riscv64");
  });
});
