import { canonicalJson, type InstructionCause } from "../../base/index.js";
import { linkDifference } from "./linked-copy.js";
import { mountDifference } from "./mount-difference.js";
import type { StepNode } from "./node.js";
import { changed, isEqual, list, type Members, memberDifference, members, shown } from "./op-members.js";
import { cut, VALUE_MAX_LENGTH } from "./shown.js";

/**
 * What of two ops differs, as far as the instruction or an option of the build says it: variables and inputs are others' affair. The ops
 * are what `CacheMap.preimage` holds.
 */
export function opDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  if (isEqual(older.op, newer.op)) return [];
  const [was, is] = [members(older.op), members(newer.op)];
  const causes = [
    ...linkDifference(older, newer),
    ...kindDifference(older, newer),
    ...memberDifference(was.platform, is.platform, "--platform"),
  ];
  if (causes.length > 0 || isEqual(withoutInputs(was), withoutInputs(is))) return causes;
  return [{ kind: "instruction", part: "definition" }];
}

/** Which of its inputs a file action has says nothing by itself: they are others where a stage begins with nothing. */
function withoutInputs(op: Members): Members {
  if (!("file" in op)) return op;
  return { ...op, file: list(op.file).map((each) => ({ ...members(each), ...NO_INPUTS })) };
}

const NO_INPUTS = { input: undefined, secondaryInput: undefined };

function kindDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [members(older.op), members(newer.op)];
  if ("exec" in was && "exec" in is) return execDifference(older, newer);
  if ("file" in was && "file" in is) return fileDifference(list(was.file), list(is.file));
  if (Object.keys(was).join() === Object.keys(is).join()) return [];
  return [
    {
      kind: "instruction",
      part: "instruction",
      from: older.text?.shown ?? older.name,
      to: newer.text?.shown ?? newer.name,
    },
  ];
}

/** Members of a process that are options or settings, and what they are called. */
const META_PARTS: readonly (readonly [string, string])[] = [
  ["cwd", "WORKDIR"],
  ["user", "USER"],
  ["hostname", "hostname"],
  ["extraHosts", "--add-host"],
  ["cgroupParent", "--cgroup-parent"],
  ["validExitCodes", "exit codes"],
];
const EXEC_PARTS: readonly (readonly [string, string])[] = [
  ["security", "--security"],
  ["devices", "--device"],
  ["secretEnv", "--mount"],
];

function execDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [members(members(older.op).exec), members(members(newer.op).exec)];
  const [oldMeta, meta] = [members(was.meta), members(is.meta)];
  return [
    ...commandDifference({ older, newer }, list(oldMeta.args), list(meta.args)),
    ...META_PARTS.flatMap(([member, part]) => memberDifference(oldMeta[member], meta[member], part)),
    ...memberDifference(ulimitsText(oldMeta.ulimits), ulimitsText(meta.ulimits), "--ulimit"),
    ...mountDifference({ older, newer }, was.mounts, is.mounts),
    ...memberDifference(networkName(was.network), networkName(is.network), "--network"),
    ...EXEC_PARTS.flatMap(([member, part]) => memberDifference(was[member], is[member], part)),
  ];
}

/** As the options have them. */
function ulimitsText(ulimits: unknown): string | undefined {
  const texts = list(ulimits)
    .map(members)
    .map(({ name, soft, hard }) => `${name}=${soft}:${hard}`);
  return texts.length === 0 ? undefined : texts.join(", ");
}

/** As the option has it. */
function networkName(network: unknown): unknown {
  return network === "sandbox" ? "default" : network;
}

interface Nodes {
  readonly older: StepNode;
  readonly newer: StepNode;
}

function commandDifference(
  { older, newer }: Nodes,
  was: readonly unknown[],
  is: readonly unknown[],
): readonly InstructionCause[] {
  if (isEqual(was, is)) return [];
  const [oldCommand, command] = [was.at(-1), is.at(-1)];
  const shell = memberDifference(was.slice(0, -1).join(" "), is.slice(0, -1).join(" "), "SHELL");
  if (older.text?.mark === newer.text?.mark && shell.length > 0) return shell;
  const part = isHeredocOf(older, newer) ? "heredoc" : "command";
  const [from, to] = part === "heredoc" ? [undefined, undefined] : [shown(oldCommand), shown(command)];
  if (oldCommand === command) return shell;
  // Only the form is another one: a heredoc's text ends its line.
  if (from !== undefined && from.trim() === to?.trim()) return [changed(part, written(older), written(newer))];
  // Of one form both are one argument of a shell, or arguments of their own.
  return [
    was.length === is.length ? changed(part, from, to) : changed(part, shown(was.join(" ")), shown(is.join(" "))),
  ];
}

/** The instruction as it stands in the Dockerfile. */
function written({ text }: StepNode): string | undefined {
  return text && cut(text.shown, VALUE_MAX_LENGTH);
}

/** Whether two instructions differ only in the lines of their heredocs. */
function isHeredocOf({ text: was }: StepNode, { text: is }: StepNode): boolean {
  const [oldHead, head] = [was, is].map((text) => /^[^\n]*<<[^\n]*\n/.exec(text?.shown ?? "")?.[0]);
  return head !== undefined && head === oldHead;
}

const PARENTS = "--parents";

/** Members of a file action, and what they are called. */
const ACTION_PARTS: Readonly<Record<string, string>> = {
  src: "source",
  dest: "destination",
  path: "path",
  data: "heredoc",
  mode: "--chmod",
  owner: "--chown",
  excludePatterns: "--exclude",
  includePatterns: PARENTS,
  requiredPaths: PARENTS,
  timestamp: "SOURCE_DATE_EPOCH",
  attemptUnpack: "--unpack",
};

function fileDifference(was: readonly unknown[], is: readonly unknown[]): readonly InstructionCause[] {
  if (was.length !== is.length) return [changed("sources", undefined, undefined)];
  const causes = is.flatMap((each, i) => {
    const [from, to] = [members(members(was[i]).action), members(members(each).action)];
    return actionDifference(withOneMode(from), withOneMode(to));
  });
  const distinct = [...new Map(causes.map((cause) => [canonicalJson(cause), cause])).values()];
  // Without --parents a source is read in another way.
  const isOtherWay = distinct.some(
    ({ part, from, to }) => part === PARENTS && (from === undefined) !== (to === undefined),
  );
  return isOtherWay ? distinct.filter(({ part }) => part === PARENTS || !part.startsWith("source")) : distinct;
}

/** What a --chmod says in numbers and what it says in letters are one option. */
function withOneMode({ modeStr, ...action }: Members): Members {
  return modeStr === undefined ? action : { ...action, mode: modeStr };
}

function actionDifference(was: Members, is: Members): readonly InstructionCause[] {
  if (was.kind !== is.kind) return [changed("instruction", undefined, undefined)];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  return names.flatMap((name) => {
    if (isEqual(was[name], is[name])) return [];
    const part =
      is.kind === "mkdir" && name === "owner"
        ? "USER"
        : is.kind === "mkdir" && name === "path"
          ? "WORKDIR"
          : ACTION_PARTS[name];
    if (part === "heredoc") return [changed(part, undefined, undefined)];
    if (part === "SOURCE_DATE_EPOCH") return [changed(part, timeText(was[name]), timeText(is[name]))];
    if (name === "mode") return [changed(part ?? name, octal(was[name]), octal(is[name]))];
    if (name === "owner") return [changed(part ?? name, ownerText(was[name]), ownerText(is[name]))];
    // How a source is read follows from what it is.
    return part === undefined ? [changed("source", undefined, undefined)] : memberDifference(was[name], is[name], part);
  });
}

/** Seconds; -1 is none. */
function timeText(timestamp: unknown): string | undefined {
  return typeof timestamp === "number" && timestamp >= 0 ? String(timestamp) : undefined;
}

function octal(mode: unknown): string | undefined {
  return typeof mode === "number" ? mode.toString(8) : shown(mode);
}

function ownerText(owner: unknown): string | undefined {
  if (owner === undefined) return undefined;
  const { user, group } = members(owner);
  const name = (of: unknown) => members(of).name ?? members(of).id ?? "";
  return group === undefined ? `${name(user)}` : `${name(user)}:${name(group)}`;
}
