import { EngineError } from "../base/index.js";
import type { BuildRequest } from "./request.js";

/** Refuses what a caller without types may have sent: `invalid`, with the option's name. */
export function checkRequest(request: BuildRequest): void {
  if (!isObject(request)) throw new EngineError("invalid", "a build needs a request: an object with a context");
  const { context } = request;
  if (typeof context !== "string" && !(isObject(context) && Symbol.asyncIterator in Object(context.stdin)))
    throw new EngineError("invalid", "a build needs a context: the path of a directory, or { stdin } with a stream");
  for (const [name, value] of Object.entries(request)) {
    if (!Object.hasOwn(OPTIONS, name)) {
      const hint = `there are ${Object.keys(OPTIONS).join(", ")}`;
      throw new EngineError("invalid", `a build has no option ${JSON.stringify(name)}`, { hint });
    }
    const [what, fits] = OPTIONS[name as keyof BuildRequest];
    if (value !== undefined && !fits(value))
      throw new EngineError("invalid", `the option ${name} of a build must be ${what}`);
  }
}

type Fits = (value: unknown) => boolean;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
const isString: Fits = (value) => typeof value === "string";
const isNumber: Fits = (value) => typeof value === "number" && !Number.isNaN(value);
const isTexts: Fits = (value) => isObject(value) && !Array.isArray(value) && Object.values(value).every(isString);
const listOf =
  (fits: Fits): Fits =>
  (value) =>
    Array.isArray(value) && value.every(fits);
const oneOf =
  (...words: readonly unknown[]): Fits =>
  (value) =>
    words.includes(value);

const OUTPUT_TYPES = ["oci", "docker", "tar", "local", "image"];
const STRINGS = ["a list of strings", listOf(isString)] as const;
const TEXTS = ["an object of strings", isTexts] as const;
const STRING = ["a string", isString] as const;
const NUMBER = ["a number", isNumber] as const;
const OBJECTS = ["a list of objects", listOf(isObject)] as const;

const OPTIONS: Readonly<Record<keyof BuildRequest, readonly [what: string, fits: Fits]>> = {
  context: ["a path, or { stdin } with a stream", () => true],
  dockerfile: STRING,
  dockerfileText: STRING,
  target: STRING,
  buildArgs: TEXTS,
  buildContexts: TEXTS,
  platforms: STRINGS,
  tags: STRINGS,
  labels: TEXTS,
  noCache: ["a boolean or a list of stages", (value) => typeof value === "boolean" || listOf(isString)(value)],
  pull: ["a boolean", oneOf(true, false)],
  network: ["default, none or host", oneOf("default", "none", "host")],
  extraHosts: OBJECTS,
  ulimits: OBJECTS,
  shmSizeBytes: NUMBER,
  cgroupParent: STRING,
  allow: STRINGS,
  secrets: OBJECTS,
  ssh: OBJECTS,
  resources: ["an object", isObject],
  outputs: [
    `a list of objects with a type of ${OUTPUT_TYPES.join(", ")}`,
    listOf((value) => isObject(value) && OUTPUT_TYPES.includes(String(value.type))),
  ],
  attestations: OBJECTS,
  sign: ["an object with the path of a key", (value) => isObject(value) && isString(value.key)],
  cacheFrom: OBJECTS,
  cacheTo: OBJECTS,
  maxParallelism: NUMBER,
  onProgress: ["a function", (value) => typeof value === "function"],
  onFailedStep: ["a function", (value) => typeof value === "function"],
  signal: ["an AbortSignal", (value) => isObject(value) && "aborted" in value],
};
