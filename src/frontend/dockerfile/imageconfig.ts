import type { Healthcheck, HistoryEntry, ImageConfig, Platform, RuntimeConfig } from "../../oci/index.js";

/** What a process finds its programs with where the image says nothing. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** An image config while the instructions of a stage change it. Lists and maps in it are replaced, never changed. */
export interface DraftConfig {
  architecture: string;
  os: string;
  variant?: string;
  "os.version"?: string;
  "os.features"?: readonly string[];
  author?: string;
  config: DraftRuntimeConfig;
  rootfs: ImageConfig["rootfs"];
  history: readonly HistoryEntry[];
}

/** The settings of a draft, with the names that the JSON has. */
interface DraftRuntimeConfig {
  User?: string;
  ExposedPorts?: NonNullable<RuntimeConfig["ExposedPorts"]>;
  Env?: readonly string[];
  Entrypoint?: readonly string[] | null;
  Cmd?: readonly string[] | null;
  Volumes?: NonNullable<RuntimeConfig["Volumes"]>;
  WorkingDir?: string;
  Labels?: Readonly<Record<string, string>>;
  StopSignal?: string;
  ArgsEscaped?: boolean;
  Healthcheck?: Healthcheck;
  OnBuild?: readonly string[] | null;
  Shell?: readonly string[];
}

/** The config of an image without a base. */
export function emptyConfig(platform: Platform): DraftConfig {
  const path = platform.os === "windows" ? {} : { Env: [`PATH=${DEFAULT_PATH}`] };
  return {
    ...platformMembers(platform),
    config: { WorkingDir: "/", ...path },
    rootfs: { type: "layers", diff_ids: [] },
    history: [],
  };
}

/**
 * The config of a base image as a build takes it up: the members that image-spec and Docker define, others are dropped as
 * BuildKit drops them, and without its time.
 */
export function inheritedConfig(image: ImageConfig): DraftConfig {
  const runtime = image.config ?? {};
  return {
    ...known<ImageMembers>(image, IMAGE_MEMBERS),
    architecture: image.architecture ?? "",
    os: image.os ?? "",
    config: known<DraftRuntimeConfig>(runtime, RUNTIME_MEMBERS),
    rootfs: { type: "layers", diff_ids: image.rootfs?.diff_ids ?? [] },
    history: image.history ?? [],
  };
}

/** A config to be changed without changing ORIGINAL. */
export function draftOf(original: DraftConfig): DraftConfig {
  return { ...original, config: { ...original.config } };
}

/** The finished config: members without a value are left out, as their JSON leaves them out. */
export function finishedConfig(draft: DraftConfig): ImageConfig {
  return {
    ...withoutEmpty(draft),
    config: withoutEmpty(draft.config),
    rootfs: draft.rootfs,
    history: draft.history,
  } as ImageConfig;
}

/** DRAFT for PLATFORM, which was asked for: what the platform leaves open stays only where system and architecture are the same. */
export function onPlatform(draft: DraftConfig, platform: Platform): DraftConfig {
  const same = draft.os === platform.os && draft.architecture === platform.architecture;
  const kept = { ...draft };
  if (!same) {
    delete kept.variant;
    delete kept["os.version"];
  }
  return { ...kept, ...platformMembers(platform) };
}

/** The platform that a config names. */
export function platformOf(config: ImageConfig | DraftConfig): Platform {
  return {
    os: config.os,
    architecture: config.architecture,
    ...(config.variant ? { variant: config.variant } : {}),
    ...(config["os.version"] ? { osVersion: config["os.version"] } : {}),
  };
}

/** ENV with KEY set: in its place where it was set before, else at the end. */
export function withVariable(env: readonly string[] | undefined, key: string, value: string): readonly string[] {
  const entries = [...(env ?? [])];
  const at = entries.findIndex((entry) => variableOf(entry)[0] === key);
  entries.splice(at < 0 ? entries.length : at, 1, `${key}=${value}`);
  return entries;
}

/** The name and value of a `KEY=value`; without `=` the value is empty. */
export function variableOf(entry: string): [key: string, value: string] {
  const at = entry.indexOf("=");
  return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
}

type ImageMembers = Pick<DraftConfig, "author" | "variant" | "os.version" | "os.features">;
const IMAGE_MEMBERS = ["author", "variant", "os.version", "os.features"] as const;
const RUNTIME_MEMBERS = [
  "User",
  "ExposedPorts",
  "Env",
  "Entrypoint",
  "Cmd",
  "Volumes",
  "WorkingDir",
  "Labels",
  "StopSignal",
  "ArgsEscaped",
  "Healthcheck",
  "OnBuild",
  "Shell",
] as const;

function known<Known extends object>(value: object, members: readonly (keyof Known & string)[]): Known {
  const given = new Map(Object.entries(value));
  const found = members.filter((member) => given.get(member) !== undefined && given.get(member) !== null);
  return Object.fromEntries(found.map((member) => [member, given.get(member)])) as Known;
}

function platformMembers(platform: Platform): Pick<DraftConfig, "os" | "architecture" | "variant" | "os.version"> {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant ? { variant: platform.variant } : {}),
    ...(platform.osVersion ? { "os.version": platform.osVersion } : {}),
  };
}

function withoutEmpty<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => !isEmpty(member))) as T;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
