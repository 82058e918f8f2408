import type { BaseIssue } from "valibot";

type Issue = BaseIssue<unknown>;

/**
 * What is wrong with a document, after the member that it is wrong with: `layers.0.size: expected a number, found an array`. Of the
 * document, which may be a stranger's, nothing is quoted that is long or does something to a terminal.
 */
export function describeIssue(issue: Issue): string {
  return described(issue, []).text;
}

interface Described {
  /** How far below the document it is wrong. */
  readonly depth: number;
  readonly text: string;
}

/** An issue of what is found below the keys ABOVE. */
function described(issue: Issue, above: readonly unknown[]): Described {
  const keys = [...above, ...(issue.path ?? []).map(({ key }) => key)];
  if (issue.type === "union" && issue.issues) return nearest(issue.issues, keys);
  const holder = issue.path?.at(-1)?.input;
  const isNoObject = Array.isArray(holder) && typeof keys.at(-1) === "string";
  return isNoObject ? placed(keys.slice(0, -1), differing("an object", holder)) : placed(keys, problem(issue));
}

/** Of what keeps a value from being one of several things: what is found deepest, since that is what it was meant to be. */
function nearest(issues: readonly Issue[], above: readonly unknown[]): Described {
  const all = issues.map((issue) => described(issue, above));
  const depth = Math.max(...all.map((each) => each.depth));
  const texts = new Set(all.filter((each) => each.depth === depth).map(({ text }) => text));
  return { depth, text: [...texts].join(", or ") };
}

function placed(keys: readonly unknown[], text: string): Described {
  const place = keys.map((key) => (PLAIN_KEY.test(String(key)) ? String(key) : quoted(String(key)))).join(".");
  return { depth: keys.length, text: place === "" ? text : `${place}: ${text}` };
}

const PLAIN_KEY = /^[\w-]{1,100}$/;

function problem(issue: Issue): string {
  const { type, expected, received, input, message } = issue;
  // The words of the schema itself.
  if (!message.endsWith(`eceived ${received}`)) return message;
  if (expected === "never") return "there is no such key";
  if (input === undefined) return "it is missing";
  const wanted = expected === null ? (KINDS.get(type) ?? type.replaceAll("_", " ")) : inWords(expected);
  return LENGTH.test(type) ? `expected a length ${wanted}, found ${received}` : differing(wanted, input);
}

const LENGTH = /_length$/;

function differing(wanted: string, found: unknown): string {
  return `expected ${wanted}, found ${kindOf(found)}`;
}

/** How a schema calls what it expects: `(string | Array)`, `("a" | "b")`. */
function inWords(expected: string): string {
  return expected
    .replace(/^\((.*)\)$/, "$1")
    .split(" | ")
    .map((each) => KINDS.get(each) ?? each)
    .join(" or ");
}

const KINDS: ReadonlyMap<string, string> = new Map([
  ["Object", "an object"],
  ["Array", "an array"],
  ["string", "a string"],
  ["number", "a number"],
  ["boolean", "true or false"],
  ["integer", "a whole number"],
  ["safe_integer", "a whole number"],
]);

function kindOf(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

/** UTF-16 units of a text that is quoted. */
const QUOTED_MAX = 60;

function quoted(text: string): string {
  const cut = text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}…` : text;
  return JSON.stringify(cut).replace(/\p{C}/gu, "\ufffd");
}
