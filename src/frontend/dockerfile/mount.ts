import { cleanPath } from "../../base/index.js";
import type { MountOption, Range, RunMount, RunMountType } from "./ast.js";
import { DEFAULT_MOUNT_TYPE, MOUNT_TYPES, mountTypeOf, parseBoolean } from "./build-run.js";
import type { ExpandResult } from "./expand.js";
import { parseMemorySize } from "./memory-size.js";
import { quote } from "./quote.js";
import { suggest, withSuggestion } from "./suggest.js";

/**
 * A --mount of RUN with its options expanded and its defaults filled in. Paths are as written: neither cleaned nor
 * joined to WORKDIR.
 */
export type ResolvedMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount;

interface BindMount {
  readonly type: "bind";
  /** A stage, image or named context; undefined is the build context. */
  readonly from: string | undefined;
  /** Empty is the root. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}
interface CacheMount {
  readonly type: "cache";
  /** Undefined is an empty file system. */
  readonly from: string | undefined;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** The cleaned target where none is given; without the namespace. */
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked";
  /** Undefined where none of uid, gid and mode is given. */
  readonly owner: MountOwner | undefined;
}
interface TmpfsMount {
  readonly type: "tmpfs";
  readonly target: string;
  readonly readOnly: boolean;
  readonly sizeBytes: number | undefined;
}
export interface SecretMount {
  readonly type: "secret";
  readonly id: string;
  /** Undefined where the secret is but a variable. */
  readonly target: string | undefined;
  readonly env: string | undefined;
  readonly required: boolean;
  readonly owner: MountOwner;
}
export interface SshMount {
  readonly type: "ssh";
  readonly id: string;
  /** Undefined is the executor's default, `/run/buildkit/ssh_agent.N`. */
  readonly target: string | undefined;
  readonly required: boolean;
  readonly owner: MountOwner;
}
export interface MountOwner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export type ResolveMountResult =
  | { readonly ok: true; readonly mount: ResolvedMount }
  | {
      readonly ok: false;
      readonly error: string;
      /** The option that is wrong, or the part of it. */
      readonly culprit?: Range | undefined;
      readonly suggestion?: string | undefined;
    };

/** Resolves the options of one --mount, each value but that of `from` put through EXPAND first. Never throws. */
export function resolveMountOptions(mount: RunMount, expand: (text: string) => ExpandResult): ResolveMountResult {
  const draft: Draft = { type: DEFAULT_MOUNT_TYPE };
  for (const option of mount.options) {
    const { key, value, field } = option;
    let text = value;
    if (value !== undefined && key !== "from") {
      const expanded = expand(value);
      if (!expanded.ok) return { ok: false, error: expanded.error, culprit: option.range };
      text = expanded.value;
    }
    const refused = applyOption(draft, { key, value: text, field });
    if (typeof refused === "string") return { ok: false, error: refused, culprit: option.range };
    if (refused) {
      const { message, suggestion, culprit } = refused;
      return { ok: false, error: message, suggestion, culprit: partRange(option, culprit) };
    }
  }
  const error = checkDraft(draft);
  return error === undefined ? finish(draft) : { ok: false, error };
}

/** The options as they are read, in order: what an option may be depends on the type given before it. */
interface Draft {
  type: RunMountType;
  from?: string;
  source?: string;
  target?: string;
  readOnly?: boolean;
  id?: string;
  sharing?: CacheMount["sharing"];
  required?: boolean;
  sizeBytes?: number;
  mode?: number;
  uid?: number;
  gid?: number;
  env?: string;
}

/** An option after expansion. */
interface Option {
  readonly key: string;
  readonly value: string | undefined;
  readonly field: string;
}

/** Every key there is, in the order in which suggestions prefer them. */
const KEYS =
  "type from source target readonly id sharing required size mode uid gid src dst destination ro rw readwrite env".split(
    " ",
  );

/** Keys that may stand without a value. */
const SWITCHES: ReadonlySet<string> = new Set(["readonly", "ro", "readwrite", "rw", "required"]);

/** What is wrong with one half of an option. */
interface Refusal {
  readonly message: string;
  readonly suggestion?: string;
  readonly culprit: "key" | "value";
}

/** Enters OPTION into DRAFT, or says why it can't. */
function applyOption(draft: Draft, { key, value, field }: Option): string | Refusal | undefined {
  if (value === undefined && !SWITCHES.has(key)) {
    const message = `invalid field '${field}' must be a key=value pair`;
    const meant = suggest(key, KEYS);
    return meant === undefined ? message : { ...withSuggestion(message, meant), culprit: "key" };
  }
  const text = value ?? "true";
  switch (key) {
    case "type":
      return applyType(draft, text);
    case "from":
      draft.from = text;
      return undefined;
    case "source":
    case "src":
      draft.source = text;
      return undefined;
    case "target":
    case "dst":
    case "destination":
      draft.target = text;
      return undefined;
    case "id":
      draft.id = text;
      return undefined;
    case "env":
      draft.env = text;
      return undefined;
    case "sharing":
      return applySharing(draft, text);
    case "size":
      return applySize(draft, key, text);
    case "mode":
    case "uid":
    case "gid":
      return applyNumber(draft, key, text);
    case "readonly":
    case "ro":
    case "readwrite":
    case "rw":
    case "required":
      return applySwitch(draft, key, text);
    default:
      return { ...withSuggestion(`unexpected key '${key}' in '${field}'`, suggest(key, KEYS)), culprit: "key" };
  }
}

/** Where the key or the value of an option stands; all of it where it can't be told. */
function partRange({ key, field, range }: MountOption, part: "key" | "value"): Range {
  const { start, end } = range;
  if (start.line !== end.line || end.character - start.character !== field.length) return range;
  const middle = start.character + key.length;
  return part === "key"
    ? { start, end: { line: start.line, character: middle } }
    : { start: { line: start.line, character: middle + 1 }, end };
}

function applyType(draft: Draft, text: string): Refusal | undefined {
  const type = mountTypeOf(text);
  if (type === undefined) {
    const meant = suggest(text, MOUNT_TYPES);
    return { ...withSuggestion(`unsupported mount type ${quote(text)}`, meant), culprit: "value" };
  }
  draft.type = type;
  return undefined;
}

const SHARING_MODES = ["shared", "private", "locked"] as const;

function applySharing(draft: Draft, text: string): Refusal | undefined {
  const sharing = SHARING_MODES.find((mode) => mode === text.toLowerCase());
  if (sharing === undefined) {
    const meant = suggest(text, SHARING_MODES);
    return { ...withSuggestion(`unsupported sharing value ${quote(text)}`, meant), culprit: "value" };
  }
  draft.sharing = sharing;
  return undefined;
}

function applySwitch(draft: Draft, key: string, text: string): string | undefined {
  if (key === "required" && draft.type !== "secret" && draft.type !== "ssh") return misplaced(draft, key);
  const on = parseBoolean(text);
  if (on === undefined) return `invalid value for ${key}: ${text}`;
  if (key === "required") draft.required = on;
  else draft.readOnly = key === "readonly" || key === "ro" ? on : !on;
  return undefined;
}

function applySize(draft: Draft, key: string, text: string): string | undefined {
  if (draft.type !== "tmpfs") return misplaced(draft, key);
  const bytes = parseMemorySize(text);
  if (bytes === undefined) return `invalid value for ${key}: ${text}`;
  draft.sizeBytes = bytes;
  return undefined;
}

const MAX_UINT32 = 2 ** 32 - 1;

function applyNumber(draft: Draft, key: "mode" | "uid" | "gid", text: string): string | undefined {
  const digits = key === "mode" ? /^[0-7]+$/ : /^[0-9]+$/;
  const number = digits.test(text) ? Number.parseInt(text, key === "mode" ? 8 : 10) : Number.NaN;
  if (!(number <= MAX_UINT32)) return `invalid value ${text} for ${key}`;
  draft[key] = number;
  return undefined;
}

function misplaced(draft: Draft, key: string): string {
  return `unexpected key '${key}' for mount type '${draft.type}'`;
}

function checkDraft(draft: Draft): string | undefined {
  const { type } = draft;
  if (type === "bind" || type === "tmpfs") {
    const owner = (["mode", "uid", "gid"] as const).find((key) => draft[key] !== undefined);
    if (owner) return `${owner} not allowed for ${quote(type)} type mounts`;
  }
  if (type === "secret") {
    if (draft.from) return "secret mount should not have a from";
    if (draft.sharing) return "secret mount should not define sharing";
    if (!draft.source && !draft.target && !draft.id) return "invalid secret mount. one of source, target required";
    if (draft.source && draft.id) return "both source and id can't be set";
  }
  if (type === "ssh" && draft.source) return "ssh does not support source";
  if (draft.sharing && type !== "cache") return `invalid cache sharing set for ${type} mount`;
  return undefined;
}

function finish(draft: Draft): ResolveMountResult {
  const { type, source = "", target = "", env } = draft;
  const from = draft.from || undefined;
  switch (type) {
    case "bind":
      return { ok: true, mount: { type, from, source, target, readOnly: draft.readOnly ?? true } };
    case "cache": {
      const hasOwner = draft.uid !== undefined || draft.gid !== undefined || draft.mode !== undefined;
      const owner = hasOwner ? ownerOf(draft, 0o755) : undefined;
      const { readOnly = false, sharing = "shared" } = draft;
      return {
        ok: true,
        mount: { type, from, source, target, readOnly, id: draft.id || cleanPath(target), sharing, owner },
      };
    }
    case "tmpfs":
      return { ok: true, mount: { type, target, readOnly: draft.readOnly ?? false, sizeBytes: draft.sizeBytes } };
    case "secret": {
      const id = source || draft.id || baseName(target);
      const place = target || (env === undefined ? `/run/secrets/${baseName(id)}` : undefined);
      const required = draft.required ?? false;
      return { ok: true, mount: { type, id, target: place, env, required, owner: ownerOf(draft, 0o400) } };
    }
    case "ssh": {
      const required = draft.required ?? false;
      const owner = ownerOf(draft, 0o600);
      return { ok: true, mount: { type, id: draft.id || "default", target: target || undefined, required, owner } };
    }
  }
}

function ownerOf({ uid = 0, gid = 0, mode }: Draft, defaultMode: number): MountOwner {
  return { uid, gid, mode: mode ?? defaultMode };
}

/** The last name of a path, as Go's `path.Base` has it. */
function baseName(path: string): string {
  const names = path.split("/").filter((name) => name !== "");
  return names.at(-1) ?? (path === "" ? "." : "/");
}
