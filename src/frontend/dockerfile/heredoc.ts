import type { ExpandedWord } from "./expanded-words.js";
import { type ExpanderMode, Expansion } from "./expansion.js";

/** The parts of `3<<-"EOF"`. */
export interface HeredocWord {
  readonly name: string;
  /** False where any part of the name was quoted. */
  readonly expand: boolean;
  /** `<<-`. */
  readonly chomp: boolean;
  readonly fileDescriptor: number | undefined;
}

/** Reads TEXT as the one word that begins a heredoc, undefined where it is more or something else. Never throws. */
export function parseHeredocWord(text: string): HeredocWord | undefined {
  const parsed = readHeredocWord(text);
  return parsed === "none" || parsed.error !== undefined ? undefined : parsed.heredoc;
}

/** A word of an instruction that begins a heredoc, with its offsets in the line. */
export interface HeredocMarker extends HeredocWord {
  readonly source: ExpandedWord;
}

/**
 * The heredocs that LINE begins, in order; a mistake in a name is an error. A line whose quotes don't match begins
 * none.
 */
export function findHeredocs(
  line: string,
): { readonly ok: true; readonly markers: readonly HeredocMarker[] } | { readonly ok: false; readonly error: string } {
  const words = new Expansion(line, NO_VARIABLES, LINE_MODE).words();
  const markers: HeredocMarker[] = [];
  for (const source of words.ok ? words.value : []) {
    const parsed = readHeredocWord(source.text);
    if (parsed === "none") continue;
    if (parsed.error !== undefined) return { ok: false, error: parsed.error };
    markers.push({ ...parsed.heredoc, source });
  }
  return { ok: true, markers };
}

/** TEXT without the tabs its lines begin with, as `<<-` has it. */
export function stripTabs(text: string): string {
  return text.replace(/^\t+/gm, "");
}

const HEREDOC = /^([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)$/;

const NO_VARIABLES = { get: () => undefined };

/** Splits a line into words as they are written: quotes, escapes and variables stay. */
const LINE_MODE: ExpanderMode = { escapeCharacter: "\\", quotes: "keep", keepEscapes: true, keepUnset: true };

type ReadHeredoc = "none" | { readonly error: string } | { readonly error?: undefined; readonly heredoc: HeredocWord };

function readHeredocWord(text: string): ReadHeredoc {
  const match = text.includes("<<") ? HEREDOC.exec(text) : null;
  const rest = match?.[3] ?? "";
  if (!match || rest === "") return "none";
  const bare = new Expansion(rest, NO_VARIABLES, { ...LINE_MODE, keepEscapes: false, quotes: "remove" }).words();
  if (!bare.ok) return { error: bare.error };
  const [name, ...more] = bare.value;
  if (!name || more.length > 0) return "none";
  const quoted = new Expansion(rest, NO_VARIABLES, { ...LINE_MODE, keepEscapes: false, quotes: "keep" }).words();
  const written = quoted.ok ? quoted.value.map((word) => word.text).join(" ") : "";
  return {
    heredoc: {
      name: name.text,
      expand: countQuotes(name.text) === countQuotes(written),
      chomp: match[2] === "-",
      fileDescriptor: match[1] ? Number(match[1]) : undefined,
    },
  };
}

function countQuotes(text: string): number {
  return text.match(/['"]/g)?.length ?? 0;
}
