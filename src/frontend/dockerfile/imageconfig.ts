import type { Healthcheck, HistoryEntry, ImageConfig, Platform } from "../../oci/index.js";
import { createEnvEntries, type EnvEntries } from "./env-entries.js";
import { goTime } from "./history.js";

/** What a process finds its programs with where the image says nothing. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** An image config while the instructions of a stage change it: `draftOf` makes one of another stage's. */
export interface DraftConfig extends PlatformMembers {
  "os.features"?: readonly string[];
  author?: string;
  readonly config: DraftRuntimeConfig;
  readonly rootfs: ImageConfig["rootfs"];
  /** Grows by an entry for each instruction. */
  readonly history: HistoryEntry[];
}

interface PlatformMembers {
  architecture: string;
  os: string;
  variant?: string;
  "os.version"?: string;
}

/** The settings of a draft, with the names that the JSON has. What an instruction adds to is changed in place. */
interface DraftRuntimeConfig {
  User?: string;
  readonly ExposedPorts: Set<string>;
  readonly Env: EnvEntries;
  Entrypoint?: readonly string[] | null;
  Cmd?: readonly string[] | null;
  readonly Volumes: Set<string>;
  WorkingDir?: string;
  readonly Labels: Map<string, string>;
  StopSignal?: string;
  ArgsEscaped?: boolean;
  Healthcheck?: Healthcheck;
  readonly OnBuild: string[];
  Shell?: readonly string[];
}

/** The config of an image without a base. */
export function emptyConfig(platform: Platform): DraftConfig {
  return {
    ...platformMembers(platform),
    config: { WorkingDir: "/", ...collections({ Env: [`PATH=${DEFAULT_PATH}`] }) },
    rootfs: { type: "layers", diff_ids: [] },
    history: [],
  };
}

/**
 * The config of a base image as a build takes it up: the members that image-spec and Docker define, others are dropped as
 * BuildKit drops them, and without its time. Its triggers have fired, and are no part of it.
 */
export function inheritedConfig(image: ImageConfig): DraftConfig {
  const runtime = image.config ?? {};
  return {
    ...known<ImageMembers>(image, IMAGE_MEMBERS),
    architecture: image.architecture ?? "",
    os: image.os ?? "",
    config: { ...known<RuntimeMembers>(runtime, RUNTIME_MEMBERS), ...collections(runtime) },
    rootfs: { type: "layers", diff_ids: image.rootfs?.diff_ids ?? [] },
    history: (image.history ?? []).map((entry) =>
      entry.created === undefined ? entry : { ...entry, created: goTime(entry.created) },
    ),
  };
}

/** A config to be changed without changing ORIGINAL. Its triggers are not taken over. */
export function draftOf(original: DraftConfig): DraftConfig {
  const { ExposedPorts: ports, Volumes: volumes, Labels: labels, Env: env } = original.config;
  const config = {
    ...original.config,
    ExposedPorts: new Set(ports),
    Volumes: new Set(volumes),
    Labels: new Map(labels),
    Env: env.clone(),
    OnBuild: [],
  };
  return { ...original, config, history: [...original.history] };
}

/** The finished config: members without a value are left out, as their JSON leaves them out. */
export function finishedConfig(draft: DraftConfig): ImageConfig {
  const { User, ExposedPorts, Env, Entrypoint, Cmd, Volumes, WorkingDir, Labels, ...others } = draft.config;
  const config = {
    User,
    ExposedPorts: Object.fromEntries([...ExposedPorts].map((port) => [port, {}])),
    Env: Env.list,
    Entrypoint,
    Cmd,
    Volumes: Object.fromEntries([...Volumes].map((path) => [path, {}])),
    WorkingDir,
    Labels: Object.fromEntries(Labels),
    ...others,
  };
  const runtime = withoutEmpty(config) as ImageConfig["config"];
  return { ...withoutEmpty(draft), config: runtime, rootfs: draft.rootfs, history: draft.history };
}

/** CONFIG for PLATFORM, which was asked for: what the platform leaves open stays only where system and architecture are the same. */
export function onPlatform<Config extends PlatformMembers>(config: Config, platform: Platform): Config {
  const same = config.os === platform.os && config.architecture === platform.architecture;
  const kept = { ...config };
  if (!same) {
    delete kept.variant;
    delete kept["os.version"];
  }
  return { ...kept, ...platformMembers(platform) };
}

/** The platform that a config names. */
export function platformOf(config: Readonly<PlatformMembers>): Platform {
  return {
    os: config.os,
    architecture: config.architecture,
    ...(config.variant ? { variant: config.variant } : {}),
    ...(config["os.version"] ? { osVersion: config["os.version"] } : {}),
  };
}

type ImageMembers = Pick<DraftConfig, "author" | "variant" | "os.version" | "os.features">;
const IMAGE_MEMBERS = ["author", "variant", "os.version", "os.features"] as const;
type Collections = Pick<DraftRuntimeConfig, "ExposedPorts" | "Env" | "Volumes" | "Labels" | "OnBuild">;
type RuntimeMembers = Omit<DraftRuntimeConfig, keyof Collections>;
const RUNTIME_MEMBERS = [
  "User",
  "Entrypoint",
  "Cmd",
  "WorkingDir",
  "StopSignal",
  "ArgsEscaped",
  "Healthcheck",
  "Shell",
] as const;

function collections(runtime: Partial<ImageConfig["config"]>): Collections {
  return {
    ExposedPorts: new Set(Object.keys(runtime.ExposedPorts ?? {})),
    Env: createEnvEntries(runtime.Env),
    Volumes: new Set(Object.keys(runtime.Volumes ?? {})),
    Labels: new Map(Object.entries(runtime.Labels ?? {})),
    OnBuild: [],
  };
}

function known<Known extends object>(value: object, members: readonly (keyof Known & string)[]): Known {
  const given = new Map(Object.entries(value));
  const found = members.filter((member) => given.get(member) !== undefined && given.get(member) !== null);
  return Object.fromEntries(found.map((member) => [member, given.get(member)])) as Known;
}

function platformMembers(platform: Platform): PlatformMembers {
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
