import type { Arguments } from "./arguments.js";
import type { Flag, MountOption, Range, RunInstruction, RunMount, RunMountType } from "./ast.js";
import { type BuiltInstruction, base, commandLine, type Rejected } from "./built.js";
import { parseCsvFields } from "./csv.js";
import { checkFlags, type FlagSchema, findFlag } from "./flags.js";
import { quote } from "./quote.js";
import type { CompleteInstruction } from "./raw.js";
import { didYouMean } from "./suggest.js";

/** RUN. */
export function buildRun(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const problem = checkFlags(raw.flags, SCHEMA);
  if (problem) return { ok: false, message: problem.message, culprit: problem.flag.range };
  const mounts = readEach(raw.flags, "mount", readMount);
  if ("ok" in mounts) return mounts;
  const devices = readEach(raw.flags, "device", readDevice);
  if ("ok" in devices) return devices;
  const network = findFlag(raw.flags, "network");
  if (!isNetwork(network?.value)) {
    return { ok: false, message: `invalid network mode ${quote(network?.value ?? "")}`, ...culprit(network) };
  }
  const security = findFlag(raw.flags, "security");
  if (!isSecurity(security?.value)) {
    return { ok: false, message: `security ${quote(security?.value ?? "")} is not valid`, ...culprit(security) };
  }
  const command = commandLine(args);
  const { heredocs } = raw;
  const modes = { network: network?.value, security: security?.value };
  return { ok: true, instruction: { kind: "run", command, heredocs, mounts, devices, ...modes, ...base(raw) } };
}

const SCHEMA: FlagSchema = { mount: "strings", network: "string", security: "string", device: "strings" };

/** The type a mount has where none is given. */
export const DEFAULT_MOUNT_TYPE: RunMountType = "bind";

const MOUNT_TYPES: readonly RunMountType[] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/** The mount type that TEXT names, in any case. */
export function mountTypeOf(text: string): RunMountType | undefined {
  return MOUNT_TYPES.find((type) => type === text.toLowerCase());
}

/** ` (did you mean X?)` for what is no mount type. */
export function didYouMeanType(text: string): string {
  return didYouMean(text, MOUNT_TYPES);
}

function culprit(flag: Flag | undefined): { culprit?: Range } {
  return flag ? { culprit: flag.range } : {};
}

function isNetwork(mode: string | undefined): mode is RunInstruction["network"] {
  return mode === undefined || mode === "default" || mode === "none" || mode === "host";
}

function isSecurity(mode: string | undefined): mode is RunInstruction["security"] {
  return mode === undefined || mode === "sandbox" || mode === "insecure";
}

/** What READ makes of each flag NAME, or the first that it refuses. */
function readEach<T>(flags: readonly Flag[], name: string, read: (flag: Flag) => T | string): readonly T[] | Rejected {
  const results: T[] = [];
  for (const flag of flags.filter((candidate) => candidate.name === name)) {
    const result = read(flag);
    if (typeof result === "string") return { ok: false, message: result, culprit: flag.range };
    results.push(result);
  }
  return results;
}

function readMount(flag: Flag): RunMount | string {
  const csv = parseCsvFields(flag.value ?? "");
  if (!csv.ok) return `failed to parse csv mounts: ${csv.error}`;
  const options = csv.fields.map(readOption);
  const froms = options.filter(({ key }) => key === "from").map(({ value }) => value ?? "");
  const variable = froms.find((from) => /\$./s.test(from));
  if (variable !== undefined) return "'from' doesn't support variable expansion, define alias stage instead";
  const type = options.findLast(({ key, value }) => key === "type" && value !== undefined)?.value;
  return { type: mountTypeOf(type ?? DEFAULT_MOUNT_TYPE), from: froms.at(-1) || undefined, options, flag };
}

function readOption(field: string): MountOption {
  const equals = field.indexOf("=");
  const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  return { key, value: equals < 0 ? undefined : field.slice(equals + 1), field };
}

type Device = RunInstruction["devices"][number];

/**
 * `name`, `name=…`, `required`, `required=…`; the first field that is none of them is the name, `vendor/class=device`
 * included.
 */
function readDevice(flag: Flag): Device | string {
  const csv = parseCsvFields(flag.value ?? "");
  if (!csv.ok) return `failed to parse csv devices: ${csv.error}`;
  let name = "";
  let required = false;
  for (const field of csv.fields) {
    const { key, value } = readOption(field);
    if (key === "required") {
      const parsed = value === undefined ? true : parseBoolean(value);
      if (parsed === undefined) return `invalid value for ${key}: ${value}`;
      required = parsed;
    } else if (key === "name" && value !== undefined) {
      if (name !== "") return `device name already set to ${name}`;
      name = value;
    } else if (name === "") name = field;
    else if (value === undefined) return `invalid field '${field}' must be a key=value pair`;
    else return `unexpected key '${key}' in '${field}'${didYouMean(key, ["name", "required"])}`;
  }
  return { name, required };
}

/** Go's idea of a boolean; undefined for anything else. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}
