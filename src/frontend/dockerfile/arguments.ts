import type { KeyValue, Range, Word } from "./ast.js";
import { trimmed } from "./blanks.js";
import { jsonArray } from "./json-form.js";
import { quote } from "./quote.js";
import { cutTrigger, type RawInstruction, type RawText } from "./raw.js";
import { cutWord, splitQuotedWords, splitWords } from "./words.js";

/** What stands behind an instruction's flags, by the form it is in. */
export type Arguments =
  /** A JSON array of strings. */
  | { readonly form: "json"; readonly values: readonly string[]; readonly range: Range }
  /** All the rest of the line; empty where there is none. */
  | { readonly form: "text"; readonly word: Word }
  | { readonly form: "words"; readonly words: readonly Word[] }
  | { readonly form: "pairs"; readonly pairs: readonly KeyValue[]; readonly legacy: boolean }
  | { readonly form: "health"; readonly type: Word; readonly command: JsonOrText }
  | { readonly form: "trigger"; readonly trigger: RawInstruction }
  | { readonly form: "none" };

type JsonOrText = Extract<Arguments, { readonly form: "json" | "text" }>;

export type ParsedArguments =
  | { readonly ok: true; readonly arguments: Arguments; readonly takesHeredocs: boolean }
  | { readonly ok: false; readonly message: string; readonly culprit: Range };

/**
 * Reads the arguments of an instruction in the form its keyword calls for; an unknown keyword has none. Never throws.
 */
export function parseArguments(raw: RawInstruction): ParsedArguments {
  const parsed = parseForm(raw);
  if (!("form" in parsed)) return { ok: false, ...parsed };
  if (parsed.form !== "trigger") {
    const takesHeredocs = mayTakeHeredocs(raw.name) && parsed.form !== "json";
    return { ok: true, arguments: parsed, takesHeredocs };
  }
  // A trigger within a trigger is refused whatever it says, and they may be many.
  if (parsed.trigger.name === ONBUILD) return { ok: true, arguments: parsed, takesHeredocs: false };
  // What a trigger says matters only once it runs, but its form is looked at already here.
  const inner = parseArguments(parsed.trigger);
  return inner.ok ? { ok: true, arguments: parsed, takesHeredocs: inner.takesHeredocs } : inner;
}

const ONBUILD = "ONBUILD";

/** Whether the instruction NAME may have heredocs. */
export function mayTakeHeredocs(name: string): boolean {
  return HEREDOC_INSTRUCTIONS.has(name);
}

const HEREDOC_INSTRUCTIONS: ReadonlySet<string> = new Set(["ADD", "COPY", "RUN"]);

interface Problem {
  readonly message: string;
  readonly culprit: Range;
}

function parseForm(raw: RawInstruction): Arguments | Problem {
  const { rest } = raw;
  switch (raw.name) {
    case "ADD":
    case "COPY":
    case "VOLUME":
      return parseJson(rest) ?? { form: "words", words: splitWords(rest.text).map((word) => rest.word(word)) };
    case "CMD":
    case "ENTRYPOINT":
    case "RUN":
    case "SHELL":
      return parseJsonOrText(rest);
    case "ENV":
    case "LABEL":
      return parsePairs(raw);
    case "ARG":
      return {
        form: "words",
        words: splitQuotedWords(rest.text, raw.escapeCharacter).map((word) => rest.word(word)),
      };
    case "EXPOSE":
    case "FROM":
      return { form: "words", words: splitWords(rest.text).map((word) => rest.word(word)) };
    case "MAINTAINER":
    case "STOPSIGNAL":
    case "USER":
    case "WORKDIR":
      return textOf(rest);
    case "HEALTHCHECK":
      return parseHealth(rest);
    case ONBUILD:
      return rest.text === "" ? { form: "none" } : { form: "trigger", trigger: cutTrigger(raw) };
    default:
      return { form: "none" };
  }
}

/** A JSON array of strings; undefined for anything that is no JSON array, which then is ordinary text. */
function parseJson(rest: RawText): Extract<Arguments, { form: "json" }> | Problem | undefined {
  const values = jsonArray(trimmed(rest.text).text);
  if (values === undefined) return undefined;
  if (values.every((value) => typeof value === "string")) {
    return { form: "json", values: values.map((value) => wellFormed(value)), range: rest.range() };
  }
  return {
    message: "when using JSON array syntax, arrays must be comprised of strings only",
    culprit: rest.range(),
  };
}

/** TEXT without lone surrogates, which Go makes U+FFFD of. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

function parseJsonOrText(rest: RawText): JsonOrText | Problem {
  return parseJson(rest) ?? textOf(rest);
}

function textOf(rest: RawText): Extract<Arguments, { form: "text" }> {
  return { form: "text", word: { text: rest.text, range: rest.range() } };
}

function parsePairs({ name, rest, escapeCharacter }: RawInstruction): Arguments | Problem {
  const words = splitQuotedWords(rest.text, escapeCharacter);
  const [first] = words;
  if (!first) return { form: "pairs", pairs: [], legacy: false };
  if (!first.text.includes("=")) {
    const [key, value] = cutWord(rest.text);
    if (!value) return { message: `${name} must have two arguments`, culprit: rest.range() };
    return { form: "pairs", pairs: [{ key: key.text, value: value.text, range: rest.range() }], legacy: true };
  }
  const pairs: KeyValue[] = [];
  for (const split of words) {
    const word = rest.word(split);
    const pair = keyValue(word);
    if (pair.value === undefined) {
      const message = `Syntax error - can't find = in ${quote(word.text)}. Must be of the form: name=value`;
      return { message, culprit: word.range };
    }
    pairs.push(pair);
  }
  return { form: "pairs", pairs, legacy: false };
}

/** `key=value`, or a key alone. */
export function keyValue(word: Word): KeyValue {
  const equals = word.text.indexOf("=");
  if (equals < 0) return { key: word.text, value: undefined, range: word.range };
  return { key: word.text.slice(0, equals), value: word.text.slice(equals + 1), range: word.range };
}

function parseHealth(rest: RawText): Arguments | Problem {
  if (rest.text === "") return { form: "none" };
  const [first, behind] = cutWord(rest.text);
  const type = rest.word(first);
  const command = parseJsonOrText(rest.part(behind?.offset ?? rest.text.length));
  return "form" in command ? { form: "health", type, command } : command;
}
