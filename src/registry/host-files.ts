import fs from "node:fs";
import path from "node:path";
import * as v from "valibot";
import { describeIssue, EngineError, errorCode, lazy, messageOf } from "../base/index.js";
import { type ClientCertificate, defaultHostOptions, type HostOptions, type HostSource } from "./host.js";
import { parseToml } from "./toml.js";

/** Where people say how registries are reached. Nothing of it need exist, unless it says so. */
export interface HostFiles {
  /** Files like the `registry` tables of `buildkitd.toml`; of several that speak of one registry the first counts. */
  readonly configFiles: readonly string[];
  /** Whether somebody named the files, so that they must be there. */
  readonly mustExist?: boolean | undefined;
  /** Directories that hold one per registry (`localhost:5000`), with authorities in `*.crt`, and `*.cert` with `*.key`: docker's `certs.d`. */
  readonly certificateDirectories: readonly string[];
}

/** What is said there, read when it is first asked for. Errors: `invalid`, with the file and what is wrong with it. */
export function hostsOfFiles({ configFiles, mustExist = false, certificateDirectories }: HostFiles): HostSource {
  const configs = lazy(() => configFiles.map((file) => readConfig(file, mustExist)));
  const entryOf = (registry: string): Entry | undefined =>
    configs()
      .map((config) => config.get(registry))
      .find((entry) => entry !== undefined);
  return {
    get(registry) {
      const entry = entryOf(registry);
      const directories = [
        ...(entry?.tlsconfigdir ?? []),
        ...certificateDirectories.map((dir) => path.join(dir, registry)),
      ];
      const found = directories.map(readCertificates);
      const authorities = [...(entry?.ca ?? []).map(readPem), ...found.flatMap(({ authorities: more }) => more)];
      const clientCertificates = [
        ...(entry?.keypair ?? []).map(({ cert, key }) => ({ certificate: readPem(cert), key: readPem(key) })),
        ...found.flatMap(({ clientCertificates: more }) => more),
      ];
      const said = entry?.http !== undefined || entry?.insecure !== undefined;
      if (!said && authorities.length === 0 && clientCertificates.length === 0) return undefined;
      const tls = {
        ...(authorities.length > 0 ? { ca: authorities.join("\n") } : {}),
        ...(clientCertificates.length > 0 ? { clientCertificates } : {}),
      };
      return chooseScheme(registry, entry, tls);
    },
    mirrors: (registry) => entryOf(registry)?.mirrors ?? [],
  };
}

/** Bytes of one file of configuration, and files of a directory that are looked at. */
const FILE_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 100;
const MIRROR = /^[^/@\s?#]*[^/@\s?#:](?:\/[^/\s?#]+)*$/;

const strings = v.optional(v.array(v.pipe(v.string(), v.minLength(1))));
const entrySchema = v.strictObject({
  mirrors: v.optional(v.array(v.pipe(v.string(), v.regex(MIRROR, "a mirror is HOST[:PORT][/PATH]")))),
  http: v.optional(v.boolean()),
  insecure: v.optional(v.boolean()),
  ca: strings,
  tlsconfigdir: strings,
  keypair: v.optional(v.array(v.strictObject({ cert: v.string(), key: v.string() }))),
});
const configSchema = v.strictObject({ registry: v.optional(v.record(v.string(), entrySchema), {}) });

type Entry = v.InferOutput<typeof entrySchema>;

function chooseScheme(registry: string, entry: Entry | undefined, tls: object): HostOptions {
  if (entry?.insecure) return entry.http ? { scheme: "insecure", ...tls } : { scheme: "https", ...tls, verify: false };
  if (entry?.http) return { scheme: "http" };
  const isSaid = entry?.http === false || Object.keys(tls).length > 0;
  return isSaid ? { scheme: "https", ...tls } : defaultHostOptions(registry);
}

function readConfig(file: string, mustExist: boolean): ReadonlyMap<string, Entry> {
  const text = readBounded(file);
  if (text === undefined && mustExist) throw unreadable(file, new Error("no such file"));
  if (text === undefined) return new Map();
  // A table without a prototype is no record to the schema.
  const document: unknown = JSON.parse(JSON.stringify(parseToml(text, file)));
  const checked = v.safeParse(configSchema, document);
  if (!checked.success) throw new EngineError("invalid", `${file}: ${describeIssue(checked.issues[0])}`);
  const resolve = (name: string): string => path.resolve(path.dirname(file), name);
  const entries = Object.entries(checked.output.registry).map(([name, entry]): [string, Entry] => [
    name,
    {
      ...entry,
      ca: entry.ca?.map(resolve),
      tlsconfigdir: entry.tlsconfigdir?.map(resolve),
      keypair: entry.keypair?.map(({ cert, key }) => ({ cert: resolve(cert), key: resolve(key) })),
    },
  ]);
  return new Map(entries);
}

interface Certificates {
  readonly authorities: readonly string[];
  readonly clientCertificates: readonly ClientCertificate[];
}

function readCertificates(directory: string): Certificates {
  const names = list(directory).slice(0, FILES_MAX);
  const at = (name: string): string => path.join(directory, name);
  const certificates = names.filter((name) => name.endsWith(".cert"));
  return {
    authorities: names.filter((name) => name.endsWith(".crt")).map((name) => readPem(at(name))),
    clientCertificates: certificates.map((name) => {
      const key = `${name.slice(0, -".cert".length)}.key`;
      if (!names.includes(key))
        throw new EngineError("invalid", `missing key ${key} for client certificate ${name} in ${directory}`);
      return { certificate: readPem(at(name)), key: readPem(at(key)) };
    }),
  };
}

function list(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory).sort();
  } catch (cause) {
    // Nobody said anything there, or not to us.
    if (errorCode(cause) === "not-found" || errorCode(cause) === "denied") return [];
    throw unreadable(directory, cause);
  }
}

function readPem(file: string): string {
  const text = readBounded(file);
  if (text === undefined) throw new EngineError("invalid", `${file}: no such file`);
  return text;
}

function readBounded(file: string): string | undefined {
  try {
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (!stat.isFile() || stat.size > FILE_BYTES_MAX)
      throw new EngineError("invalid", `not a regular file of at most ${FILE_BYTES_MAX} bytes`);
    return fs.readFileSync(file, "utf8");
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): EngineError {
  return new EngineError("invalid", `reading how registries are reached from ${file}: ${messageOf(cause)}`, { cause });
}
