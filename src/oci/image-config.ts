import * as v from "valibot";
import type { Digest } from "../base/index.js";
import { EngineError } from "../base/index.js";
import { goJson, type JsonValue, sortedMembers, sortedValue } from "./go-json.js";
import { digestSchema, optionalSchema, parseDocument, setSchema, stringsSchema } from "./json-document.js";
import { LAYERS_MAX } from "./manifest.js";
import type { Platform } from "./platform.js";
import { normalizePlatform } from "./platform.js";

/**
 * An image config (image-spec, config; plus Docker's Healthcheck, OnBuild, Shell, ArgsEscaped) with the JSON's own field names.
 * Unknown members are kept as they came.
 */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly "os.version"?: string;
  readonly "os.features"?: readonly string[];
  readonly author?: string;
  readonly created?: string;
  readonly config: RuntimeConfig;
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly Digest[] };
  readonly history: readonly HistoryEntry[];
  readonly [member: string]: unknown;
}

/** The part of a config that says how to run the image. */
export interface RuntimeConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly ArgsEscaped?: boolean;
  readonly Healthcheck?: Healthcheck;
  readonly OnBuild?: readonly string[] | null;
  readonly Shell?: readonly string[];
  readonly [member: string]: unknown;
}

/** Durations in nanoseconds. */
export interface Healthcheck {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** Bytes of an image config. */
export const IMAGE_CONFIG_BYTES_MAX = 8 * 1024 * 1024;
/** Entries of a config's history. */
const HISTORY_ENTRIES_MAX = 16 * 1024;

/** Reads an image config; null members are left out, a missing history or `config` is an empty one. Throws `invalid`. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  if (bytes.length > IMAGE_CONFIG_BYTES_MAX) {
    throw new EngineError(
      "invalid",
      `image config of ${bytes.length} bytes, at most ${IMAGE_CONFIG_BYTES_MAX} are allowed`,
    );
  }
  const parsed = parseDocument("image config", configSchema, bytes);
  return withoutNulls({ ...parsed, config: withoutNulls(parsed.config ?? {}) }) as ImageConfig;
}

/**
 * The bytes of CONFIG as BuildKit writes them, on which image ids depend: no white space, the outer members sorted, the inner
 * ones in the order of the spec's Go structs, empty ones left out.
 */
export function encodeImageConfig(config: ImageConfig): Buffer {
  const members: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(config)) {
    if (!isEmpty(value) || ALWAYS_WRITTEN.has(name)) members[name] = sortedValue(value);
  }
  members.config = inOrder(config.config, RUNTIME_ORDER);
  if (!isEmpty(config.history)) members.history = config.history.map((entry) => inOrder(entry, HISTORY_ORDER));
  members.rootfs = new Map<string, JsonValue>([
    ["type", config.rootfs.type],
    ["diff_ids", config.rootfs.diff_ids],
  ]);
  return Buffer.from(goJson(new Map(sortedNames(members).map((name) => [name, members[name]]))));
}

/** The platform a config is for, normalised. */
export function configPlatform(config: ImageConfig): Platform {
  return normalizePlatform({
    os: config.os,
    architecture: config.architecture,
    variant: config.variant,
    osVersion: config["os.version"],
  });
}

/** Members Go writes even when they are empty. */
const ALWAYS_WRITTEN = new Set(["architecture", "os"]);
const RUNTIME_ORDER: readonly string[] =
  "User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal ArgsEscaped Healthcheck OnBuild Shell".split(
    " ",
  );
const HEALTHCHECK_ORDER: readonly string[] = "Test Interval Timeout StartPeriod StartInterval Retries".split(" ");
const HISTORY_ORDER: readonly string[] = "created created_by author comment empty_layer".split(" ");

const text = optionalSchema(v.string());
const texts = optionalSchema(v.array(v.string()));
const integer = optionalSchema(v.pipe(v.number(), v.integer()));

const healthcheckSchema = v.object({
  Test: texts,
  Interval: integer,
  Timeout: integer,
  StartPeriod: integer,
  StartInterval: integer,
  Retries: integer,
});

const runtimeSchema = v.looseObject({
  User: text,
  ExposedPorts: optionalSchema(setSchema),
  Env: texts,
  Entrypoint: texts,
  Cmd: texts,
  Volumes: optionalSchema(setSchema),
  WorkingDir: text,
  Labels: optionalSchema(stringsSchema),
  StopSignal: text,
  ArgsEscaped: optionalSchema(v.boolean()),
  Healthcheck: optionalSchema(v.pipe(healthcheckSchema, v.transform(withoutNulls))),
  OnBuild: texts,
  Shell: texts,
});

const historySchema = v.object({
  created: text,
  created_by: text,
  author: text,
  comment: text,
  empty_layer: optionalSchema(v.boolean()),
});

const configSchema = v.looseObject({
  architecture: v.nullish(v.string(), ""),
  os: v.nullish(v.string(), ""),
  variant: text,
  "os.version": text,
  "os.features": texts,
  author: text,
  created: text,
  config: optionalSchema(runtimeSchema),
  rootfs: v.object({
    type: v.literal("layers"),
    diff_ids: v.pipe(v.nullish(v.array(digestSchema), []), v.maxLength(LAYERS_MAX)),
  }),
  history: v.pipe(
    v.nullish(v.array(v.pipe(historySchema, v.transform(withoutNulls))), []),
    v.maxLength(HISTORY_ENTRIES_MAX),
  ),
});

function withoutNulls<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, member]) => member !== null && member !== undefined),
  ) as Partial<T>;
}

/** The members named in ORDER first and in that order, then the unknown ones sorted. */
function inOrder(object: object, order: readonly string[]): ReadonlyMap<string, JsonValue> {
  const members = new Map(Object.entries(object).filter(([, value]) => !isEmpty(value)));
  const names = [...order, ...sortedNames(object).filter((name) => !order.includes(name))].filter((name) =>
    members.has(name),
  );
  return new Map(
    names.map((name) => [
      name,
      name === "Healthcheck" ? inOrder(members.get(name), HEALTHCHECK_ORDER) : sortedValue(members.get(name)),
    ]),
  );
}

function sortedNames(object: object): readonly string[] {
  return [...sortedMembers(object as Record<string, unknown>).keys()];
}

/** Go's `omitempty`. */
function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (value !== null && typeof value === "object") return Object.keys(value).length === 0;
  return value === undefined || value === null || value === "" || value === 0 || value === false;
}
