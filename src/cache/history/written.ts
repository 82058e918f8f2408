import type { StepNode } from "./node.js";

/** An instruction as it stands in the Dockerfile, or in the base image whose trigger it is. */
export interface Written {
  /** In capitals. */
  readonly keyword: string;
  /** The values of each flag in order; empty where it has none. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  /** What comes behind the flags, without line ends. */
  readonly rest: string;
  /** The first line of it, with those that it goes on in. */
  readonly head: string;
  readonly form: "exec" | "heredoc" | "shell";
}

/** The instruction that NODE is; undefined where no text of it is known. */
export function writtenIn({ text, name, source }: StepNode): Written | undefined {
  if (source !== undefined) return undefined;
  const [, trigger] = /^\[[^\]]*\] ONBUILD (.*)$/s.exec(name) ?? [];
  const whole = (text?.shown ?? trigger)?.replace(CONTINUATION, " ");
  const [, keyword = "", behind = ""] = /^(\S+)(.*)$/s.exec(whole ?? "") ?? [];
  if (keyword === "") return undefined;
  const flags = new Map<string, string[]>();
  let rest = behind;
  for (let flag = FLAG.exec(rest); flag !== null; flag = FLAG.exec(rest)) {
    const [all, option = "", value = ""] = flag;
    flags.set(option.toLowerCase(), [...(flags.get(option.toLowerCase()) ?? []), value]);
    rest = rest.slice(all.length);
  }
  const [head = ""] = rest.trim().split("\n", 1);
  const form = wordsInJson(head) ? "exec" : /^<<-?["']?\w/.test(head) ? "heredoc" : "shell";
  return { keyword: keyword.toUpperCase(), flags, rest: oneLine(rest), head: head.trim(), form };
}

/** Where a line goes on, with comments between. */
const CONTINUATION = /[\\`][ \t]*\r?\n(?:[ \t]*#[^\n]*\n)*/g;
/** One flag ahead of the rest; what is quoted may hold spaces. */
const FLAG = /^\s*(--[a-z][a-z-]*)(?:=((?:"[^"]*"|'[^']*'|[^\s"'])*))?(?=\s|$)/i;

/** TEXT without line ends. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*[\r\n]+\s*/g, " ");
}

function wordsInJson(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) && words.every((word) => typeof word === "string") ? words : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether PART of two instructions is written alike, so that nobody edited it: it differs because of a variable, or of what relative paths
 * start at. False of what an option of the build may have set.
 */
export function isWrittenAlike(older: Written | undefined, newer: Written | undefined, part: string): boolean {
  if (older === undefined || newer === undefined || older.keyword !== newer.keyword) return false;
  if (REST_PARTS.has(part)) return older.rest === newer.rest;
  return FLAG_PARTS.has(part) && valuesOf(older, part) === valuesOf(newer, part);
}

function valuesOf({ flags }: Written, flag: string): string {
  return JSON.stringify(flags.get(flag) ?? []);
}

const REST_PARTS: ReadonlySet<string> = new Set(["source", "sources", "destination", "path", "heredoc", "WORKDIR"]);
const FLAG_PARTS: ReadonlySet<string> = new Set([
  "--chmod",
  "--chown",
  "--exclude",
  "--parents",
  "--unpack",
  "--mount",
]);
