import { parseBoolean } from "./values.js";

/** What of a flag matters for reading argv. */
export interface FlagShape {
  readonly short?: string | undefined;
  readonly long?: string | undefined;
  readonly takesValue: boolean;
  /** It may have a value, which then stands behind a `=`. */
  readonly mayHaveValue?: boolean;
}

/**
 * Words in the form docker's flags allow, as commander reads them: `--pull=false` is no flag at all (or `--no-pull`, where there
 * is such a flag), `--pull=true` is `--pull`, `-t=name` is `-t name`. The rest is left as it is, as are all words after `--` or, with `firstOnly`, after the
 * first word that is no flag.
 */
export function normalizeWords(
  words: readonly string[],
  flags: readonly FlagShape[],
  firstOnly: boolean,
): readonly string[] {
  const normal: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (word === "--" || (firstOnly && !isFlag(word))) return [...normal, ...words.slice(i)];
    const [, name = word, value] = /^(--[^=]+|-[^-=])=(.*)$/s.exec(word) ?? [];
    const flag = flags.find(({ short, long }) => name === short || name === long);
    if (flag?.mayHaveValue) normal.push(`${name}=${value ?? ""}`);
    else if (flag === undefined || (value === undefined && !flag.takesValue)) normal.push(word);
    else if (flag.takesValue) {
      const given = value ?? words[++i];
      normal.push(name, ...(given === undefined ? [] : [given]));
    } else if (value !== undefined) {
      const opposite = `--no-${name.slice(2)}`;
      if (parseBoolean(value, name)) normal.push(name);
      // A flag that is on by default.
      else if (flags.some(({ long }) => long === opposite)) normal.push(opposite);
    }
  }
  return normal;
}

/** The index of the first word that is neither a flag of FLAGS nor its value; -1 if there is none. */
export function firstOperand(words: readonly string[], flags: readonly FlagShape[]): number {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (!isFlag(word)) return i;
    if (flags.some(({ short, long, takesValue }) => takesValue && (word === short || word === long))) i++;
  }
  return -1;
}

function isFlag(word: string): boolean {
  return word.startsWith("-") && word !== "-";
}
