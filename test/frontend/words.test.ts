// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expandHeredoc, expandWord, expandWords } from "../../src/frontend/dockerfile/expand.js";
import { quote } from "../../src/frontend/dockerfile/quote.js";

const VARIABLES = new Map([
  ["set", "val"],
  ["empty", ""],
  ["blank", "a  b"],
  ["path", "/usr/local/bin/sh"],
  ["lines", "one\ntwo\nthree"],
  ["GRÜSSE", "hallo"],
]);

/** The value, or the error behind an exclamation mark. */
function expand(text: string, escapeCharacter: "\\" | "`" = "\\"): string {
  const result = expandWord(text, VARIABLES, escapeCharacter);
  return result.ok ? result.value : `!${result.error}`;
}

describe("expanding a word", () => {
  it.each([
    ["$set", "val"],
    ["${set}", "val"],
    ["a$set-b", "aval-b"],
    ["$unset", ""],
    ["$GRÜSSE", "hallo"],
    ["$1 $12x $0 $@ $* $# $? $- $$ $!", " x        "],
    ["$. $/ $% $", "$. $/ $% $"],
    ["'$set' \"$set\"", "$set val"],
    ["a'b'\"c\"", "abc"],
    ["\\$set \\\\ \\x \\'", "$set \\ x '"],
    ['"\\$set \\" \\\\ \\x"', '$set " \\ \\x'],
    ["end\\", "end"],
    ["<< <", "<< <"],
  ])("%s gives %s", (text, value) => {
    expect(expand(text)).toBe(value);
  });

  it("takes the backquote as escape character where the directive says so", () => {
    expect(expand("C:\\dir`$set", "`")).toBe("C:\\dir$set");
    expect(expand('"a`"b"', "`")).toBe('a"b');
  });

  it.each([
    ["${set-w}|${empty-w}|${unset-w}", "val||w"],
    ["${set:-w}|${empty:-w}|${unset:-w}", "val|w|w"],
    ["${set+w}|${empty+w}|${unset+w}", "w|w|"],
    ["${set:+w}|${empty:+w}|${unset:+w}", "w||"],
    ["${set?m}|${empty?m}|${set:?m}", "val||val"],
    ["${unset:-${empty:-$set}}", "val"],
    ["${unset:-'a }' \"b }\"}", "a } b }"],
    ["${unset-}", ""],
  ])("%s gives %s", (text, value) => {
    expect(expand(text)).toBe(value);
  });

  it.each([
    ["${path#*/}", "usr/local/bin/sh"],
    ["${path##*/}", "sh"],
    ["${path%/*}", "/usr/local/bin"],
    ["${path%%/*}", ""],
    ["${path#/usr}", "/local/bin/sh"],
    ["${path#nothing}", "/usr/local/bin/sh"],
    ["${path%?h}", "/usr/local/bin/"],
    ["${path/\\/local/}", "/usr/bin/sh"],
    ["${path/l*l/X}", "/usr/X/bin/sh"],
    ["${path//\\//-}", "-usr-local-bin-sh"],
    ["${path//[a-z]/x}", "/usr/local/bin/sh"],
    ["${set//a/$path}", "v/usr/local/bin/shl"],
    ["${set//x}", "!failed to process \"${set//x}\": syntax error: missing '/' in ${}"],
    ["${set//*/x}", "x"],
    ["${lines#*t}", "one\ntwo\nthree"],
    [
      "${set/\\x/y}",
      "!failed to process \"${set/\\\\x/y}\": invalid pattern (\\x) in substitution: invalid escape '\\x'",
    ],
    ["${set//\\*/y}", "val"],
    ["${unset##*a}", ""],
  ])("%s gives %s", (text, value) => {
    expect(expand(text)).toBe(value);
  });

  it.each([
    ["${}", "syntax error: bad substitution"],
    ["${{x}}", "syntax error: bad substitution"],
    ["${:x}", "syntax error: bad substitution"],
    ["${", "syntax error: missing '}'"],
    ["${set", "unsupported modifier (\ufffd) in substitution"],
    ["${set:-x", "syntax error: missing '}'"],
    ["${set:#x}", "unsupported modifier (:#) in substitution"],
    ["${set^}", "unsupported modifier (^) in substitution"],
    ["'x", "unexpected end of statement while looking for matching single-quote"],
    ['"x', "unexpected end of statement while looking for matching double-quote"],
    ["${unset?}", "unset: is not allowed to be unset"],
    ["${empty:?}", "empty: is not allowed to be empty"],
    ["${unset?give $set}", "unset: give val"],
  ])("%s fails: %s", (text, error) => {
    const result = expandWord(text, VARIABLES, "\\");
    expect(result.ok ? result.value : result.error).toContain(`: ${error}`);
  });

  it("tells which variables it asked for and which had no value", () => {
    const { consulted, unset } = expandWord("$set ${other:-$more} $set", VARIABLES, "\\");
    expect(consulted).toEqual(["set", "more", "other"]);
    expect(unset).toEqual(["more", "other"]);
  });

  it("loses what stands right before a nested word, as BuildKit does", () => {
    const split = (text: string) => {
      const result = expandWords(text, VARIABLES, "\\");
      return result.ok ? result.words : result.error;
    };
    expect(split("${unset:-80}-${unset:-90}")).toEqual(["90"]);
    expect(split('1 2"${unset:-3}4"')).toEqual(["1", "34"]);
    expect(split("8${unset:+x}0 $unset${unset}1")).toEqual(["0", "1"]);
  });

  it("splits at the blanks of values, but not at quoted or escaped ones", () => {
    const split = (text: string) => {
      const result = expandWords(text, VARIABLES, "\\");
      return result.ok ? result.words : result.error;
    };
    expect(split("80 $blank  '$blank' x\\ y")).toEqual(["80", "a", "b", "$blank", "x y"]);
    expect(split('"$blank"$blank')).toEqual(["a  ba", "b"]);
    expect(split("$empty '' \"\"")).toEqual([]);
    expect(split("${unset:-80 81}-9")).toEqual(["80", "81-9"]);
  });

  it("keeps the quotes of a heredoc and escapes with a backslash alone", () => {
    const result = expandHeredoc("'$set' \"${set}\" it's \\$set `$set\n", VARIABLES);
    expect(result.ok && result.value).toBe("'val' \"val\" it's $set `val\n");
  });
});

describe("hostile texts", () => {
  it("may nest as deep as is promised, in quotes too", () => {
    const nested = (open: string, close: string, depth: number) =>
      expand(`${open.repeat(depth)}x${close.repeat(depth)}`);
    expect(nested("${a:-", "}", 499)).toBe("x");
    expect(nested('${a:-"', '"}', 499)).toBe("x");
    expect(nested("${a:-", "}", 500)).toContain("nest too deeply");
  });

  it("end in an error where substitutions nest without end", () => {
    expect(expand("${a:-".repeat(100_000))).toContain("nest too deeply");
  });

  it("end in an error where a value would grow beyond measure", () => {
    const big = new Map([["x", "y".repeat(20_000_000)]]);
    const result = expandWord("$x$x", big, "\\");
    expect(result.ok || result.error).toContain("too long");
  });

  it("end in an error where a pattern would take too long", () => {
    const big = new Map([["x", "ab".repeat(100_000)]]);
    const result = expandWord(`\${x//${"*a".repeat(200)}c/}`, big, "\\");
    expect(result.ok || result.error).toContain("takes too long");
  });

  it("never throw", () => {
    const texts = fc.string({ unit: fc.constantFrom(..."${}:-+?#%/*\\'\"` <ab1\n") });
    fc.assert(
      fc.property(texts, (text) => {
        expandWord(text, VARIABLES, "\\");
        expandWords(text, VARIABLES, "`");
        expandHeredoc(text, VARIABLES);
      }),
      { numRuns: 1000 },
    );
  });
});

/** A word as data, with its own idea of its text and its value. */
type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "single"; readonly text: string }
  | { readonly kind: "variable"; readonly name: string; readonly braces: boolean }
  | {
      readonly kind: "default";
      readonly name: string;
      readonly operator: "-" | "+" | ":-" | ":+";
      readonly word: readonly Node[];
    };

const { nodes } = fc.letrec<{ nodes: Node[]; node: Node }>((tie) => ({
  nodes: fc.array(tie("node"), { maxLength: 4 }),
  node: fc.oneof(
    { depthSize: "small" },
    fc.record({ kind: fc.constant("text" as const), text: fc.stringMatching(/^[ab.,]{0,3}$/) }),
    fc.record({ kind: fc.constant("single" as const), text: fc.stringMatching(/^[ab$} "]{0,3}$/) }),
    fc.record({
      kind: fc.constant("variable" as const),
      name: fc.constantFrom("set", "empty", "unset"),
      braces: fc.constant(true),
    }),
    fc.record({
      kind: fc.constant("default" as const),
      name: fc.constantFrom("set", "empty", "unset"),
      operator: fc.constantFrom("-" as const, "+" as const, ":-" as const, ":+" as const),
      word: tie("nodes"),
    }),
  ),
}));

function textOf(word: readonly Node[]): string {
  return word
    .map((node) => {
      if (node.kind === "text") return node.text;
      if (node.kind === "single") return `'${node.text}'`;
      if (node.kind === "variable") return `\${${node.name}}`;
      return `\${${node.name}${node.operator}${textOf(node.word)}}`;
    })
    .join("");
}

function meaningOf(word: readonly Node[]): string {
  return word
    .map((node) => {
      if (node.kind === "text" || node.kind === "single") return node.text;
      const value = VARIABLES.get(node.name);
      if (node.kind === "variable") return value ?? "";
      const isGiven = node.operator.startsWith(":") ? Boolean(value) : value !== undefined;
      if (node.operator.endsWith("-")) return isGiven ? value : meaningOf(node.word);
      return isGiven ? meaningOf(node.word) : "";
    })
    .join("");
}

it("expansion agrees with its definition on words built as trees", () => {
  fc.assert(
    fc.property(nodes, (word) => {
      expect(expand(textOf(word))).toBe(meaningOf(word));
    }),
  );
});

it("trimming agrees with trying every ending and every beginning", () => {
  const small = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 6 });
  const patterns = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 4 });
  const regexp = (pattern: string) => new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
  fc.assert(
    fc.property(small, patterns, (value, pattern) => {
      const env = new Map([["v", value]]);
      const cuts = Array.from({ length: value.length + 1 }, (_, n) => n);
      const starts = cuts.filter((n) => regexp(pattern).test(value.slice(0, n)));
      const ends = cuts.filter((n) => regexp(pattern).test(value.slice(n)));
      const given = (operator: string) => {
        const result = expandWord(`\${v${operator}${pattern}}`, env, "\\");
        return result.ok ? result.value : result.error;
      };
      fc.pre(!pattern.startsWith("#") && !pattern.startsWith("%"));
      expect(given("#")).toBe(value.slice(starts[0] ?? 0));
      expect(given("##")).toBe(value.slice(starts.at(-1) ?? 0));
      expect(given("%")).toBe(value.slice(0, ends.at(-1) ?? value.length));
      expect(given("%%")).toBe(value.slice(0, ends[0] ?? value.length));
    }),
  );
});

it.each([
  ['a"b\\c', '"a\\"b\\\\c"'],
  ["\u0007\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'],
  ["\u0001\u007f\u0080\u00a0\u2028", '"\\x01\\x7f\\u0080\\u00a0\\u2028"'],
  ["é日🐳 \u{e0001}", '"é日🐳 \\U000e0001"'],
])("messages quote %j as Go does", (text, quoted) => {
  expect(quote(text)).toBe(quoted);
});
