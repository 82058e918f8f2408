/**
 * What a word of a Dockerfile expands to, put as plainly as can be: characters one by one, patterns as regular expressions of the
 * language, errors thrown. Slow, without bounds, and written without a look at the engine's own.
 */
export function expandByModel(text: string, env: ReadonlyMap<string, string>, escapeCharacter: "\\" | "`"): string {
  const characters = [...text];
  let at = 0;
  const peek = () => characters[at];
  const atEnd = () => at >= characters.length;

  /** Up to STOP or the end; RAW keeps what escapes. */
  function sequence(stop: string | undefined, raw: boolean): string {
    let out = "";
    while (!atEnd()) {
      if (peek() === stop) {
        at++;
        return out;
      }
      if (peek() === "'") out += single();
      else if (peek() === '"') out += double(raw);
      else if (peek() === "$") out += dollar();
      else if (peek() === escapeCharacter) {
        at++;
        out += (raw ? escapeCharacter : "") + (characters[at++] ?? "");
      } else out += characters[at++];
    }
    if (stop !== undefined) throw new Missing(stop);
    return out;
  }

  function single(): string {
    const end = characters.indexOf("'", at + 1);
    if (end < 0) {
      at = characters.length;
      throw new Error("unexpected end of statement while looking for matching single-quote");
    }
    const inner = characters.slice(at + 1, end).join("");
    at = end + 1;
    return inner;
  }

  function double(raw: boolean): string {
    let out = "";
    for (at++; !atEnd(); ) {
      if (peek() === '"') {
        at++;
        return out;
      }
      if (peek() === "$") out += dollar();
      else if (peek() === escapeCharacter) {
        at++;
        if (raw) out += escapeCharacter;
        if (atEnd()) break;
        out += ['"', "$", escapeCharacter].includes(peek() ?? "") ? characters[at++] : escapeCharacter;
      } else out += characters[at++];
    }
    throw new Error("unexpected end of statement while looking for matching double-quote");
  }

  function name(): string {
    const [found = ""] = /^(?:[0-9]+|[@*#?\-$!]|[A-Za-zé_][A-Za-zé_0-9]*)?/.exec(characters.slice(at).join("")) ?? [];
    at += [...found].length;
    return found;
  }

  function dollar(): string {
    at++;
    if (peek() !== "{") {
      const plain = name();
      return plain === "" ? "$" : (env.get(plain) ?? "");
    }
    at++;
    if (atEnd()) throw new Error("syntax error: missing '}'");
    if ("{}:".includes(peek() ?? "")) throw new Error("syntax error: bad substitution");
    const variable = name();
    const value = env.get(variable);
    const first = characters[at++] ?? "\ufffd";
    if (first === "}") return value ?? "";
    if (first === "/") return replace(value ?? "");
    const colon = first === ":";
    const operator = colon ? (characters[at++] ?? "\ufffd") : first;
    const modifier = colon ? `:${operator}` : operator;
    const unsupported = new Error(`unsupported modifier (${modifier}) in substitution`);
    if (colon ? "#%".includes(operator) : !"+-?#%".includes(operator)) throw unsupported;
    const word = operand("}", "#%".includes(operator), "syntax error: missing '}'");
    const isGiven = value !== undefined && !(colon && value === "");
    switch (operator) {
      case "-":
        return isGiven ? value : word;
      case "+":
        return isGiven ? word : "";
      case "?":
        if (isGiven) return value;
        throw new Error(`${variable}: ${word || `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`);
      case "#":
      case "%":
        return trimmed(value ?? "", word, operator);
      default:
        throw unsupported;
    }
  }

  /** At the end of the text nothing counts but that the stop is missing. */
  function operand(stop: string, raw: boolean, missing: string): string {
    try {
      return sequence(stop, raw);
    } catch (error) {
      if (atEnd()) throw new Error(missing);
      throw error;
    }
  }

  function replace(value: string): string {
    const all = peek() === "/";
    if (all) at++;
    const pattern = operand("/", true, `syntax error: missing '/' in \${}`);
    const replacement = operand("}", true, "syntax error: missing '}'");
    const source = regularExpression(pattern);
    if (!all) return value.replace(new RegExp(source, "u"), () => replacement);
    // A match of nothing right behind another match is none.
    let last = -1;
    return value.replace(new RegExp(source, "gu"), (match, offset: number) => {
      if (match === "" && offset === last) return "";
      last = offset + match.length;
      return template(replacement, match);
    });
  }

  return sequence(undefined, false);
}

class Missing extends Error {
  constructor(stop: string) {
    super(`unexpected end of statement while looking for matching ${stop}`);
  }
}

/** `#` and `%`: every beginning or ending is tried, the shortest or the longest first. */
function trimmed(value: string, word: string, operator: "#" | "%" | string): string {
  const longest = word.startsWith(operator);
  const whole = new RegExp(`^(?:${regularExpression(longest ? word.slice(1) : word)})$`, "u");
  const characters = [...value];
  const lengths = characters.map((_, length) => length).concat(characters.length);
  for (const length of longest ? lengths.reverse() : lengths) {
    const cut = operator === "#" ? length : characters.length - length;
    const [head, tail] = [characters.slice(0, cut).join(""), characters.slice(cut).join("")];
    if (whole.test(operator === "#" ? head : tail)) return operator === "#" ? tail : head;
  }
  return value;
}

function regularExpression(pattern: string): string {
  let out = "";
  const characters = [...pattern];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? "";
    if (character === "*") out += "[^\\n]*";
    else if (character === "?") out += "[^\\n]";
    else if (character !== "\\") out += literal(character);
    else {
      const escaped = characters[++at] ?? "\ufffd";
      if (!["}", "/", "*", "?", "\\"].includes(escaped)) {
        throw new Error(`invalid pattern (${pattern}) in substitution: invalid escape '\\${escaped}'`);
      }
      out += literal(escaped);
    }
  }
  return out;
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/u, "\\$&");
}

/** `$0` and `${0}` are the match, `$$` a dollar sign, other names nothing. */
function template(text: string, match: string): string {
  return text.replace(/\$(?:\$|[\p{L}\p{Nd}_]+|\{[\p{L}\p{Nd}_]+\})/gu, (reference) => {
    if (reference === "$$") return "$";
    return reference === "$0" || reference === `\${0}` ? match : "";
  });
}
