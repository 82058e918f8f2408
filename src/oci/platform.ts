import { EngineError } from "../base/index.js";

/** A platform as in an OCI descriptor (image-spec, image index, "platform"). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
  /** What the operating system must have (`win32k`). Kept where descriptors are copied; no choice depends on it. */
  readonly osFeatures?: readonly string[] | undefined;
}

/**
 * Reads `OS`, `ARCH`, `OS/ARCH`, `OS/ARCH/VARIANT` (an OS may carry a version: `windows(10.0.17763)`) or `local`, and gives
 * its normal form. What the text leaves out is taken from HOST. Throws `invalid`.
 */
export function parsePlatform(text: string, host: Platform): Platform {
  if (text === "local") return normalizePlatform(host);
  if (text.includes("*")) throw invalidPlatform(`${quote(text)}: wildcards not yet supported`);
  const parts = text.split("/");
  const [first = "", architecture, variant] = parts;
  const os = OS_AND_VERSION.exec(first);
  if (os === null) {
    throw invalidPlatform(
      `${quote(first)} is an invalid OS component of ${quote(text)}: it must match ${quote(OS_AND_VERSION.source)}`,
    );
  }
  for (const part of parts.slice(1)) {
    if (!COMPONENT.test(part)) {
      throw invalidPlatform(
        `${quote(part)} is an invalid component of ${quote(text)}: it must match ${quote(COMPONENT.source)}`,
      );
    }
  }
  if (parts.length > 3) throw invalidPlatform(`${quote(text)}: cannot parse platform specifier`);
  const [, name = "", osVersion = ""] = os;
  const version = osVersion === "" ? {} : { osVersion };
  if (architecture !== undefined) return normalizePlatform({ os: name, architecture, variant, ...version });
  return { ...platformOfOneWord(text, name, host), ...version };
}

/** `linux/amd64`, `linux/arm/v7`; `unknown` without an OS. The OS version is not shown. */
export function formatPlatform(platform: Platform): string {
  if (platform.os === "") return "unknown";
  return [platform.os, platform.architecture, platform.variant ?? ""].filter((part) => part !== "").join("/");
}

/** The canonical names: `x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`, `macos` is `darwin`. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const [architecture, variant] = normalizeArchitecture(platform.architecture, platform.variant ?? "");
  return {
    os: os === "macos" ? "darwin" : os,
    architecture,
    ...(variant === "" ? {} : { variant }),
    ...(platform.osVersion ? { osVersion: platform.osVersion } : {}),
  };
}

/** Whether both name the same platform, after normalisation. The OS version counts for Windows only, by its build. */
export function samePlatform(a: Platform, b: Platform): boolean {
  const [left, right] = [normalizePlatform(a), normalizePlatform(b)];
  return (
    left.os === right.os &&
    left.architecture === right.architecture &&
    left.variant === right.variant &&
    (left.os !== "windows" || sameWindowsBuild(left.osVersion, right.osVersion))
  );
}

/**
 * What a machine of PLATFORM can run, best first: itself, older variants, then the 32-bit sibling, in containerd's order.
 * `linux/arm64` runs `linux/arm/v8` … `v5`; `linux/amd64/v3` runs v2, plain amd64 and 386.
 */
export function runnablePlatforms(platform: Platform): readonly Platform[] {
  const wanted = normalizePlatform(platform);
  const alike = (architecture: string, variant?: string): Platform =>
    normalizePlatform({ os: wanted.os, architecture, variant, osVersion: wanted.osVersion });
  switch (wanted.architecture) {
    case "amd64":
      return [wanted, ...variantsBelow(wanted.variant, 1).map((variant) => alike("amd64", variant)), alike("386")];
    case "arm":
      return [wanted, ...variantsBelow(wanted.variant, 5).map((variant) => alike("arm", variant))];
    case "arm64":
      return [
        ...arm64Variants(wanted.variant ?? "v8").map((variant) => alike("arm64", variant)),
        ...["v8", "v7", "v6", "v5"].map((variant) => alike("arm", variant)),
      ];
    default:
      return [wanted];
  }
}

/** How well CANDIDATE suits a build for WANTED: 0 is best, higher is worse, undefined means not at all. */
export function platformRank(wanted: Platform, candidate: Platform): number | undefined {
  const rank = runnablePlatforms(wanted).findIndex((runnable) => samePlatform(runnable, candidate));
  return rank === -1 ? undefined : rank;
}

/** The platform of a Linux machine whose Node reports ARCH (`process.arch`). */
export function hostPlatform(arch: string): Platform {
  return normalizePlatform({ os: "linux", architecture: NODE_ARCHITECTURES.get(arch) ?? arch });
}

const OS_AND_VERSION = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$/;
const COMPONENT = /^[A-Za-z0-9_.-]+$/;

const KNOWN_OS = new Set(
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(
    " ",
  ),
);
const KNOWN_ARCHITECTURES = new Set(
  (
    "386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le " +
    "ppc riscv riscv64 s390 s390x sparc sparc64 wasm"
  ).split(" "),
);
const NODE_ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ["x64", "amd64"],
  ["ia32", "386"],
  ["mipsel", "mipsle"],
  ["ppc64", "ppc64le"],
]);

function platformOfOneWord(text: string, name: string, host: Platform): Platform {
  const os = normalizePlatform({ os: name, architecture: "" }).os;
  if (KNOWN_OS.has(os)) return normalizePlatform({ ...host, os });
  const [architecture, variant] = normalizeArchitecture(text, "");
  if (!KNOWN_ARCHITECTURES.has(architecture))
    throw invalidPlatform(`${quote(text)}: unknown operating system or architecture`);
  return normalizePlatform({ os: host.os, architecture, variant });
}

function normalizeArchitecture(name: string, variantName: string): readonly [architecture: string, variant: string] {
  const variant = variantName.toLowerCase();
  const architecture = name.toLowerCase();
  switch (architecture) {
    case "i386":
      return ["386", ""];
    case "x86_64":
    case "x86-64":
    case "amd64":
      return ["amd64", variant === "v1" ? "" : variant];
    case "aarch64":
    case "arm64":
      if (["8", "v8", "v8.0"].includes(variant)) return ["arm64", ""];
      return ["arm64", ["9", "9.0", "v9.0"].includes(variant) ? "v9" : variant];
    case "armhf":
      return ["arm", "v7"];
    case "armel":
      return ["arm", "v6"];
    case "arm":
      if (variant === "") return ["arm", "v7"];
      return ["arm", /^[5-8]$/.test(variant) ? `v${variant}` : variant];
    default:
      return [architecture, variant];
  }
}

/** `v3` above 1 gives `v2`, `v1`; nothing for what is no such number. Hostile numbers are cut off. */
function variantsBelow(variant: string | undefined, lowest: number): readonly string[] {
  const version = /^v?(\d{1,2})$/.exec(variant ?? "")?.[1];
  const below = [];
  for (let number = Number(version ?? 0) - 1; number >= lowest; number--) below.push(`v${number}`);
  return below;
}

/** ARMv9.x includes ARMv8.(x+5), and version 8 ends with 8.9. */
function arm64Variants(variant: string): readonly string[] {
  const version = /^v([89])(?:\.(\d))?$/.exec(variant);
  if (version === null) return [];
  const minor = Number(version[2] ?? 0);
  const names = (major: number, highest: number): string[] =>
    Array.from({ length: highest + 1 }, (_, index) =>
      index === highest ? `v${major}` : `v${major}.${highest - index}`,
    );
  return version[1] === "9" ? [...names(9, minor), ...names(8, Math.min(minor + 5, 9))] : names(8, minor);
}

function sameWindowsBuild(a: string | undefined, b: string | undefined): boolean {
  const build = (version: string): string => version.split(".").slice(0, 3).join(".");
  return a === undefined || b === undefined || build(a) === build(b);
}

const quote = (text: string): string => JSON.stringify(text);

function invalidPlatform(sentence: string): EngineError {
  return new EngineError("invalid", `${sentence}: invalid argument`);
}
