import { parseBoolean } from "../build-run.js";
import { parseDirectiveText } from "../directives.js";
import { quote } from "../quote.js";

/** What `# check=…` says. */
export interface CheckOptions {
  readonly skip: RuleSet;
  readonly experimental: RuleSet;
  /** Warnings fail the build. */
  readonly error: boolean;
}

/** All checks, or those of these names. */
export type RuleSet = "all" | ReadonlySet<string>;

export type CheckOptionsResult =
  | { readonly ok: true; readonly options: CheckOptions }
  | { readonly ok: false; readonly error: string };

/** Reads `skip=A,B|all;error=true;experimental=A,B|all`. Never throws. */
export function parseCheckOptions(text: string): CheckOptionsResult {
  let skip: RuleSet = NO_RULES;
  let experimental: RuleSet = NO_RULES;
  let error = false;
  for (const option of splitOptions(text.trim())) {
    const equals = option.indexOf("=");
    if (equals < 0) return { ok: false, error: `invalid check option ${quote(option)}` };
    const key = option.slice(0, equals).trim();
    const value = option.slice(equals + 1).trim();
    if (key === "skip") skip = parseRules(value);
    else if (key === "experimental") experimental = parseRules(value);
    else if (key === "error") {
      const parsed = parseBoolean(value);
      if (parsed === undefined)
        return { ok: false, error: `failed to parse check option ${quote(option)}${notBoolean(value)}` };
      error = parsed;
    } else return { ok: false, error: `invalid check option ${quote(key)}` };
  }
  return { ok: true, options: { skip, experimental, error } };
}

/** OPTIONS with what the first `check=…` among COMMENTS adds; one that can't be read adds nothing. */
export function withComments(options: CheckOptions, comments: readonly string[]): CheckOptions {
  for (const comment of comments) {
    const directive = parseDirectiveText(comment);
    if (directive?.key !== "check") continue;
    const added = parseCheckOptions(firstWord(directive.value));
    if (!added.ok) return options;
    return {
      skip: union(options.skip, added.options.skip),
      experimental: union(options.experimental, added.options.experimental),
      error: options.error,
    };
  }
  return options;
}

/** Options end at the first blank. */
export function firstWord(text: string): string {
  return text.split(" ", 1)[0] ?? "";
}

export function includes(set: RuleSet, name: string): boolean {
  return set === "all" || set.has(name);
}

const NO_RULES: ReadonlySet<string> = new Set();

/** Go's words for it. */
function notBoolean(value: string): string {
  return `: strconv.ParseBool: parsing ${quote(value)}: invalid syntax`;
}

/** What parts options, and how many there can be: a third `;` belongs to the last. */
const MAX_OPTIONS = 3;

function splitOptions(text: string): readonly string[] {
  if (text === "") return [];
  const parts = text.split(";");
  if (parts.length <= MAX_OPTIONS) return parts;
  return [...parts.slice(0, MAX_OPTIONS - 1), parts.slice(MAX_OPTIONS - 1).join(";")];
}

function parseRules(value: string): RuleSet {
  return value === "all" ? "all" : new Set(value.split(",").map((name) => name.trim()));
}

function union(a: RuleSet, b: RuleSet): RuleSet {
  return a === "all" || b === "all" ? "all" : new Set([...a, ...b]);
}
