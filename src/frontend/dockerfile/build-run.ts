import type { Arguments } from "./arguments.js";
import type { Flag, MountOption, RunInstruction, RunMount, RunMountType } from "./ast.js";
import { type BuiltInstruction, commandLine, rejected } from "./built.js";
import { type CsvField, parseCsvFields } from "./csv.js";
import type { Mistake } from "./diagnostics.js";
import { checkFlags, type FlagSchema, findFlag, valueRange } from "./flags.js";
import { quote } from "./quote.js";
import type { CompleteInstruction } from "./raw.js";
import { suggest, withSuggestion } from "./suggest.js";

/** RUN. */
export function buildRun(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const mistakes = [...checkFlags(raw.flags, SCHEMA)];
  const refuse = (mistake: Mistake) => mistakes.push(mistake);
  const devices = readEach(raw.flags, "device", readDevice, refuse);
  const mounts = readEach(raw.flags, "mount", readMount, refuse);
  const network = readEnum(raw.flags, { name: "network", known: NETWORKS, message: invalidNetwork }, refuse);
  const security = readEnum(raw.flags, { name: "security", known: SECURITIES, message: invalidSecurity }, refuse);
  const problem = rejected(mistakes);
  if (problem) return problem;
  const command = commandLine(args);
  const { keyword, range, original, comments, flags, heredocs } = raw;
  return {
    ok: true,
    instruction: {
      kind: "run",
      command,
      heredocs,
      mounts,
      devices,
      network,
      security,
      keyword,
      range,
      original,
      comments,
      flags,
    },
  };
}

const SCHEMA: FlagSchema = { mount: "strings", network: "string", security: "string", device: "strings" };

/** The type a mount has where none is given. */
export const DEFAULT_MOUNT_TYPE: RunMountType = "bind";

export const MOUNT_TYPES: readonly RunMountType[] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/** The mount type that TEXT names, in any case. */
export function mountTypeOf(text: string): RunMountType | undefined {
  return MOUNT_TYPES.find((type) => type === text.toLowerCase());
}

const NETWORKS = ["default", "none", "host"] as const;
const SECURITIES = ["sandbox", "insecure"] as const;

function invalidNetwork(value: string): string {
  return `invalid network mode ${quote(value)}`;
}

function invalidSecurity(value: string): string {
  return `security ${quote(value)} is not valid`;
}

/** A flag that takes one of a few values, and what is said of any other. */
interface EnumFlag<T extends string> {
  readonly name: string;
  readonly known: readonly T[];
  readonly message: (value: string) => string;
}

/** The value of a flag that may be one of KNOWN; undefined where it isn't given, or is refused. */
function readEnum<T extends string>(
  flags: readonly Flag[],
  { name, known, message }: EnumFlag<T>,
  refuse: (mistake: Mistake) => void,
): T | undefined {
  const flag = findFlag(flags, name);
  if (flag?.value === undefined) return undefined;
  const { value } = flag;
  const found = known.find((option) => option === value);
  if (!found) refuse({ ...withSuggestion(message(value), suggest(value, known)), culprit: valueRange(flag) });
  return found;
}

/** What READ makes of each flag NAME but those that it refuses. */
function readEach<T extends object>(
  flags: readonly Flag[],
  name: string,
  read: (flag: Flag) => T | Mistake,
  refuse: (mistake: Mistake) => void,
): readonly T[] {
  const found: T[] = [];
  for (const flag of flags) {
    if (flag.name !== name || flag.value === undefined) continue;
    const result = read(flag);
    if ("message" in result) refuse({ culprit: valueRange(flag), ...result });
    else found.push(result);
  }
  return found;
}

function readMount(flag: Flag): RunMount | Mistake {
  const csv = parseCsvFields(flag.value ?? "");
  if (!csv.ok) return { message: `failed to parse csv mounts: ${csv.error}` };
  const options = csv.fields.map((field) => readOption(flag, field));
  const froms = options.filter(({ key, value }) => key === "from" && value !== undefined);
  const variable = froms.find(({ value }) => /\$./s.test(value ?? ""));
  if (variable) {
    return {
      message: "'from' doesn't support variable expansion, define alias stage instead",
      culprit: variable.range,
    };
  }
  const type = options.findLast(({ key, value }) => key === "type" && value !== undefined)?.value;
  return { type: mountTypeOf(type ?? DEFAULT_MOUNT_TYPE), from: froms.at(-1)?.value || undefined, options, flag };
}

function readOption(flag: Flag, { text, start, end }: CsvField): MountOption {
  const equals = text.indexOf("=");
  const key = (equals < 0 ? text : text.slice(0, equals)).toLowerCase();
  const value = equals < 0 ? undefined : text.slice(equals + 1);
  return { key, value, field: text, range: valueRange(flag, start, end - start) };
}

type Device = RunInstruction["devices"][number];

/**
 * `name`, `name=…`, `required`, `required=…`; the first field that is none of them is the name, `vendor/class=device`
 * included.
 */
function readDevice(flag: Flag): Device | Mistake {
  const csv = parseCsvFields(flag.value ?? "");
  if (!csv.ok) return { message: `failed to parse csv devices: ${csv.error}` };
  let name = "";
  let required = false;
  for (const csvField of csv.fields) {
    const { key, value, field, range: culprit } = readOption(flag, csvField);
    if (key === "required") {
      const parsed = value === undefined ? true : parseBoolean(value);
      if (parsed === undefined) return { message: `invalid value for ${key}: ${value}`, culprit };
      required = parsed;
    } else if (key === "name" && value !== undefined) {
      if (name !== "") return { message: `device name already set to ${name}`, culprit };
      name = value;
    } else if (name === "") name = field;
    else if (value === undefined) return { message: `invalid field '${field}' must be a key=value pair`, culprit };
    else {
      const meant = suggest(key, ["name", "required"]);
      return { ...withSuggestion(`unexpected key '${key}' in '${field}'`, meant), culprit };
    }
  }
  return { name, required };
}

/** Go's idea of a boolean; undefined for anything else. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}
