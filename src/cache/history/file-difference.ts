import { canonicalJson, type InstructionCause } from "../../base/index.js";
import type { StepNode } from "./node.js";
import { changed, isEqual, list, type Members, memberDifference, members, shown } from "./op-members.js";
import { writtenIn } from "./written.js";

const PARENTS = "--parents";

/** Members of a file action, and what they are called. */
const ACTION_PARTS: Readonly<Record<string, string>> = {
  dest: "destination",
  path: "path",
  data: "heredoc",
  mode: "--chmod",
  owner: "--chown",
  excludePatterns: "--exclude",
  timestamp: "SOURCE_DATE_EPOCH",
};

/** What of two copies, or of two directories that are made, differs. */
export function fileDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [actionsOf(older), actionsOf(newer)];
  const isDirectory = writtenIn(newer)?.keyword === "WORKDIR";
  if (was[0]?.kind !== is[0]?.kind) return [changed("instruction", undefined, undefined)];
  const names = (part: string) => (isDirectory ? (DIRECTORY_PARTS[part] ?? part) : part);
  // What a step does with each of its sources is the same.
  const options = actionDifference(was[0] ?? {}, is[0] ?? {}).map((cause) => ({ ...cause, part: names(cause.part) }));
  const sources = sourceDifferences(older, newer);
  const causes = [...sources, ...options];
  if (causes.length > 0 || isEqual(was, is)) return causes;
  const more = is.flatMap((action, i) => actionDifference(was[i] ?? {}, action));
  const distinct = [...new Map(more.map((cause) => [canonicalJson(cause), cause])).values()];
  // How a source is read follows from what it is.
  return distinct.length > 0 ? distinct : [unpackDifference(was, is) ?? changed("source", undefined, undefined)];
}

/** What a directory that is made is called in WORKDIR. */
const DIRECTORY_PARTS: Readonly<Record<string, string>> = { "--chown": "USER", path: "WORKDIR" };

/** The sources of two copies that differ, as they are written: the ops have the last names only. */
export function sourceDifferences(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [oldText, text] = [writtenIn(older), writtenIn(newer)];
  const [hadParents, hasParents] = [oldText, text].map((each) => each?.flags.has(PARENTS) ?? false);
  if (oldText && text && hadParents !== hasParents)
    return [changed(PARENTS, hadParents ? "" : undefined, hasParents ? "" : undefined)];
  if (older.taken && newer.taken) return listDifference(older.taken, newer.taken);
  return listDifference(lastNames(older), lastNames(newer));
}

function lastNames(node: StepNode): readonly string[] {
  return actionsOf(node).flatMap(({ src }) => (typeof src === "string" ? [src] : []));
}

function listDifference(was: readonly string[], is: readonly string[]): readonly InstructionCause[] {
  if (isEqual(was, is)) return [];
  const gone = was.filter((source) => !is.includes(source));
  const come = is.filter((source) => !was.includes(source));
  if (gone.length === 0 && come.length === 0) return memberDifference(was.join(" "), is.join(" "), "sources");
  if (gone.length === come.length) return gone.flatMap((from, i) => memberDifference(from, come[i], "source"));
  return [
    ...gone.map((from) => changed("source", shown(from), undefined)),
    ...come.map((to) => changed("source", undefined, shown(to))),
  ];
}

function unpackDifference(was: readonly Members[], is: readonly Members[]): InstructionCause | undefined {
  const [from, to] = [was[0]?.attemptUnpack, is[0]?.attemptUnpack];
  return memberDifference(from, to, "--unpack")[0];
}

function actionsOf({ op }: StepNode): readonly Members[] {
  return list(members(op).file).map((each) => withOneMode(members(members(each).action)));
}

/** What a --chmod says in numbers and what it says in letters are one option. */
function withOneMode({ modeStr, ...action }: Members): Members {
  return modeStr === undefined ? action : { ...action, mode: modeStr };
}

function actionDifference(was: Members, is: Members): readonly InstructionCause[] {
  return Object.entries(ACTION_PARTS).flatMap(([name, part]) => {
    const [from, to] = [was[name], is[name]];
    if (isEqual(from, to)) return [];
    if (part === "heredoc") return [changed(part, undefined, undefined)];
    if (part === "SOURCE_DATE_EPOCH") return [changed(part, timeText(from), timeText(to))];
    if (name === "mode") return [changed(part, octal(from), octal(to))];
    if (name === "owner") return [changed(part, ownerText(from), ownerText(to))];
    return memberDifference(from, to, part);
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
