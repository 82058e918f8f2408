// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Instruction, Range, Word } from "../../src/frontend/dockerfile/ast.js";
import { parseDockerfile } from "../../src/frontend/dockerfile/parser.js";
import { printDockerfile } from "../../src/frontend/dockerfile/print.js";
import { stepsOf } from "./odometer.js";
import { RECORDED } from "./recorded.js";

/** Pieces that Dockerfiles are made of, the nasty ones among them. */
const PIECES = [
  ..."ARG ENV LABEL RUN COPY ADD CMD ENTRYPOINT SHELL VOLUME EXPOSE USER WORKDIR ONBUILD HEALTHCHECK STOPSIGNAL".split(
    " ",
  ),
  ..."MAINTAINER FROM AS CMD NONE base a b=c =x $v ${v:-w} --mount=type=cache,target=/c --from=x --x -- <<EOF <<-A <<'Q' EOF".split(
    " ",
  ),
  ...'[ ] ["a","b"] [1] {} \' " \\ ` # , = / . é 🐳 \u00a0 \u0085 \r \t'.split(" "),
  ...["\n", "\n", " ", " ", "\\\n", "`\n", "# c\n", "# escape=`\n", "EOF\n", "\tA\n", "Q\n", "\ufeff", "\0"],
];

const nonsense = fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }).map((pieces) => pieces.join(""));

/** A Dockerfile of the recorded cases with a few places changed. */
const mutated = fc
  .tuple(
    fc.constantFrom(...RECORDED),
    fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(5), fc.constantFrom("", ...PIECES)), {
      maxLength: 4,
    }),
  )
  .map(([text, changes]) =>
    changes.reduce((changed, [where, length, piece]) => {
      const at = Math.floor(where * changed.length);
      return changed.slice(0, at) + piece + changed.slice(at + length);
    }, text),
  );

it("anything at all parses to a tree or to errors, and never throws", () => {
  fc.assert(
    fc.property(fc.oneof(nonsense, mutated, fc.string({ unit: "binary" })), (text) => {
      const { dockerfile, diagnostics } = parseDockerfile(text, "Dockerfile");
      expect(dockerfile.stages.length > 0 || diagnostics.length > 0).toBe(true);
      const lines = text.split("\n").length;
      for (const { range } of dockerfile.instructions) {
        expect(range.start.line).toBeGreaterThanOrEqual(1);
        expect(range.end.line).toBeLessThanOrEqual(lines);
      }
      for (const { location, culprit } of diagnostics) {
        expect(location?.startLine).toBeGreaterThanOrEqual(1);
        expect(location?.endLine).toBeGreaterThanOrEqual(location?.startLine ?? 0);
        if (!culprit) continue;
        expect(culprit.start.line).toBeGreaterThanOrEqual(location?.startLine ?? 0);
        expect(culprit.end.line).toBeLessThanOrEqual(location?.endLine ?? 0);
        expect(wordsAt(text, culprit)).toBeDefined();
      }
    }),
    { numRuns: 2000 },
  );
});

/** What stands at RANGE, undefined where that is no place of TEXT. */
function wordsAt(text: string, { start, end }: Range): string | undefined {
  const lines = text.replace(/^\ufeff/, "").split("\n");
  const first = lines[start.line - 1] ?? "";
  const last = lines[end.line - 1] ?? "";
  if (start.character > first.length || end.character > last.length) return undefined;
  if (start.line === end.line) return first.slice(start.character, end.character);
  return [first.slice(start.character), ...lines.slice(start.line, end.line - 1), last.slice(0, end.character)].join(
    "\n",
  );
}

it("every place in the tree shows the word that stands there", () => {
  fc.assert(
    fc.property(fc.oneof(nonsense, mutated), (body) => {
      const text = `FROM base\n${body}`;
      for (const instruction of parseDockerfile(text, "Dockerfile").dockerfile.instructions) {
        for (const word of wordsIn(instruction)) {
          if (word.range.start.line === word.range.end.line) expect(wordsAt(text, word.range)).toBe(word.text);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

/** The words of an instruction that the tree has as they are written. */
function wordsIn(instruction: Instruction): readonly Word[] {
  switch (instruction.kind) {
    case "from":
      return [instruction.keyword, instruction.image, ...(instruction.name ? [instruction.name] : [])];
    case "user":
      return [instruction.keyword, instruction.user];
    case "workdir":
      return [instruction.keyword, instruction.path];
    case "expose":
      return [instruction.keyword, ...instruction.ports];
    case "run":
      return [instruction.keyword, ...instruction.heredocs.map(({ word }) => word)];
    default:
      return [instruction.keyword];
  }
}

/** A tree without places, and without the line as it was written. */
function essence(text: string): unknown {
  const { dockerfile, diagnostics } = parseDockerfile(text, "Dockerfile");
  expect(diagnostics).toEqual([]);
  const { directives, instructions } = dockerfile;
  return JSON.parse(
    JSON.stringify({ directives, instructions }, (key, value) =>
      key === "range" || key === "original" ? undefined : value,
    ),
  );
}

const word = fc.stringMatching(/^[a-z$/.{}:é-]{1,6}$/).filter((text) => !text.startsWith("--"));
const name = fc.stringMatching(/^[A-Za-z_]{1,5}$/);
const quoted = fc.oneof(
  word,
  fc.stringMatching(/^[a-z $]{0,5}$/).map((text) => `"${text}"`),
  fc.stringMatching(/^[a-z "\\]{0,5}$/).map((text) => `'${text}'`),
  word.map((text) => `${text}\\ x`),
);
const line = fc.stringMatching(/^[a-z$"'|&;#= \\]{0,12}$/).filter((text) => !/\\[ ]*$/.test(text));
const words = fc.array(word, { minLength: 1, maxLength: 3 }).map((list) => list.join(" "));
const json = fc.array(fc.string({ maxLength: 5 }), { minLength: 1, maxLength: 3 }).map((list) => JSON.stringify(list));
const flagValue = fc.stringMatching(/^[a-z =,"'\\é]{0,6}$/).map((text) => text.replace(/["'\\ ]/g, "\\$&"));
const pairs = fc
  .array(
    fc.tuple(name, quoted).map(([key, value]) => `${key}=${value}`),
    { minLength: 1, maxLength: 3 },
  )
  .map((list) => list.join(" "));
const body = fc.stringMatching(/^(?:[\t a-z$#\\]{0,5}\n){0,3}$/);

const instruction = fc.oneof(
  fc.tuple(word, name).map(([image, as]) => `FROM --platform=$P ${image} AS ${as.replace(/^_+/, "x")}`),
  pairs.map((list) => `ENV ${list}`),
  fc.tuple(name, line).map(([key, value]) => `LABEL ${key} x${value}`),
  fc.array(fc.oneof(name, pairs), { minLength: 1, maxLength: 3 }).map((list) => `arg ${list.join(" ")}`),
  line.map((text) => `RUN ${text.replaceAll("<", "")}`),
  json.map((array) => `Run ${array}`),
  fc
    .tuple(flagValue, line)
    .map(([value, text]) => `RUN --mount=type=bind,target=${value},x x${text}`.replaceAll('"', "")),
  body.map((text) => `RUN --network=none sh <<EOF -s 3<<-'B'\n${text}EOF\n${text}\tB`),
  fc.tuple(words, word, body).map(([list, to, text]) => `COPY --chown=a:b ${list} <<'f.txt' /${to}\n${text}f.txt`),
  fc.tuple(flagValue, words).map(([value, list]) => `COPY --exclude=${value} --link ${list} /d/`),
  fc.tuple(json, word).map(([array, to]) => `ADD ${array.slice(0, -1)},${JSON.stringify(to)}]`),
  fc
    .oneof(
      json,
      line.map((text) => `x${text}`),
    )
    .map((text) => `CMD ${text}`),
  json.map((array) => `SHELL ${array}`),
  words.map((list) => `EXPOSE ${list}`),
  words.map((list) => `VOLUME ${list}`),
  line.map((text) => `WORKDIR /${text}`),
  line.map((text) => `HEALTHCHECK --interval=1m --retries=2 CMD x${text}`),
  fc.constant("HEALTHCHECK NONE"),
  body.map((text) => `ONBUILD RUN <<-EOF\n${text}\tEOF`),
  line.map((text) => `ONBUILD RUN -- ${text.trim()}`),
);

const comment = fc.oneof(fc.constant(""), fc.constantFrom("# check=skip=all\n", "# a comment\n#b\n", "#\n# x\n"));

const dockerfile = fc
  .tuple(
    fc.constantFrom("", "# escape=\\\n", "# syntax=docker/dockerfile:1\n# check=skip=A;error=true\n"),
    fc.array(fc.tuple(comment, instruction), { maxLength: 6 }),
  )
  .map(([directives, list]) => `${directives}FROM base\n${list.map(([above, text]) => `${above}${text}\n`).join("")}`)
  .filter((text) => parseDockerfile(text, "Dockerfile").diagnostics.length === 0);

it("a printed tree parses to the same tree", () => {
  fc.assert(
    fc.property(dockerfile, (text) => {
      const printed = printDockerfile(parseDockerfile(text, "Dockerfile").dockerfile);
      expect(essence(printed)).toEqual(essence(text));
    }),
    { numRuns: 500 },
  );
});

it("whatever parses without errors, printed parses to the same tree", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        mutated,
        nonsense.map((text) => `FROM base\n${text}`),
        nonsense.map((text) => `# escape=\`\nFROM base\n${text.replaceAll("\\", "`")}`),
      ),
      (text) => {
        const { dockerfile: tree, diagnostics } = parseDockerfile(text, "Dockerfile");
        fc.pre(diagnostics.length === 0);
        expect(essence(printDockerfile(tree))).toEqual(essence(text));
      },
    ),
    { numRuns: 1000, maxSkipsPerRun: 100 },
  );
});

it("printing again changes nothing", () => {
  fc.assert(
    fc.property(dockerfile, (text) => {
      const printed = printDockerfile(parseDockerfile(text, "Dockerfile").dockerfile);
      expect(printDockerfile(parseDockerfile(printed, "Dockerfile").dockerfile)).toBe(printed);
    }),
  );
});

/** Texts of about SIZE characters that a careless reader would walk over again and again. */
const LARGE: Readonly<Record<string, (size: number) => string>> = {
  "a long line": (size) => `RUN ${"x".repeat(Math.min(size, 60_000))}`,
  "a long joined line": (size) => `RUN ${"x\\\n".repeat(size / 3)}`,
  "many continuations": (size) => "RUN a \\\n".repeat(size / 8),
  "many empty continuations": (size) => `RUN a \\\n${"\n".repeat(size)}`,
  "many comments among continuations": (size) => `RUN a \\\n${"#\n".repeat(size / 2)}`,
  "many escape characters": (size) => `RUN ${"\\\\".repeat(size / 2)}`,
  "many words": (size) => `ENV ${"a=b \\\n".repeat(size / 6)}`,
  "many escapes": (size) => `ENV a=${"\\ ".repeat(size / 2)}`,
  "many quotes": (size) => `ENV a=${"'".repeat(size)}`,
  "many blanks": (size) => `COPY a${" \\\n".repeat(size / 3)} b`,
  "many blanks within": (size) => `RUN a${" ".repeat(size / 2)}b${"\u00a0".repeat(size / 2)}c`,
  "a legacy ENV": (size) => `ENV a ${'"\\\n'.repeat(size / 3)}`,
  "many flags": (size) => `RUN ${"--mount=a=b \\\n".repeat(size / 14)} x`,
  "many flags beyond ASCII": (size) => `COPY ${"--exclude=é \\\n".repeat(size / 14)} a b`,
  "many unknown flags": (size) =>
    Array.from({ length: size / 8 }, (_, n) => `--x${n} `).reduce((text, flag) => text + flag, "RUN "),
  "a long flag": (size) => `RUN --mount=${"a,\\\n".repeat(size / 4)} x`,
  "a flag of quotes": (size) => `RUN --mount='${'"a""b",\\\n'.repeat(size / 9)}"c"' x`,
  "a long duration": (size) => `HEALTHCHECK --interval=${"1s\\\n".repeat(size / 4)} CMD x`,
  "open brackets": (size) => `CMD ${"[\\\n".repeat(size / 3)}`,
  "a long array": (size) => `CMD [${'"a",\\\n'.repeat(size / 6)}"b"]`,
  "many heredocs of one name": (size) => `COPY ${"<<a \\\n".repeat(size / 8)} /x\n${"a\n".repeat(size / 8)}`,
  "many heredocs": (size) => {
    const names = Array.from({ length: size / 16 }, (_, n) => `a${n}`);
    return `COPY ${names.map((name) => `<<${name} \\\n`).join("")} /x\n${names.map((name) => `${name}\n`).join("")}`;
  },
  "many unterminated heredocs": (size) => "RUN <<a <<b\n".repeat(size / 12),
  "a long heredoc": (size) => `RUN <<-a\n${"\t\tb\n".repeat(size / 4)}a`,
  "a heredoc's quotes": (size) => `RUN <<${"''".repeat(size / 2)}a\na`,
  "signs of heredocs": (size) => `RUN ${"<".repeat(size)}`,
  "variables beside a heredoc": (size) => `RUN ${"$a\\\n".repeat(size / 4)} <<b\nb`,
  "substitutions beside a heredoc": (size) => `RUN ${"${a:-x}\\\n".repeat(size / 9)} <<b\nb`,
  "nested substitutions beside a heredoc": (size) => `RUN ${"${a:-\\\n".repeat(size / 7)} <<b`,
  "triggers in triggers": (size) => `${"ONBUILD \\\n".repeat(size / 10)}RUN x`,
  "many instructions": (size) => "ENV a=b\n".repeat(size / 8),
  "many comments": (size) => `${"# a\n".repeat(size / 4)}RUN x`,
};

it.each(Object.keys(LARGE))("%s takes steps in proportion to its length", (name) => {
  const steps = (size: number) => {
    const text = `FROM base\n${LARGE[name]?.(size)}\n`;
    return stepsOf(() => parseDockerfile(text, "Dockerfile"));
  };
  // Four times the text may take little more than four times the steps: twice would be sixteen times.
  expect(steps(32_768)).toBeLessThan(6 * steps(8_192));
});

it.each([
  ["a letter", "x"],
  ["NUL", "\0"],
  ["a wide letter", "\u6f22"],
  ["a letter and a line separator", "\u2028\u00e9"],
  ["a surrogate pair", "\ud83d\udc33"],
  ["half an array", '["'],
  ["a comment", "# c\n"],
  ["a continuation", "\\\n"],
  ["a heredoc", "RUN <<a\n"],
  ["long continued lines", `${"\u6f22".repeat(20_000)}\\\n`],
])("ten megabytes of %s are read to the end", (_, unit) => {
  const size = 10 * 1024 * 1024;
  const { diagnostics } = parseDockerfile(`FROM base\nRUN ${unit.repeat(size / unit.length)}`, "Dockerfile");
  expect(diagnostics.length).toBeLessThanOrEqual(2);
});

it("an instruction of more than two million characters is refused", () => {
  const text = `FROM base\nRUN ${`${"x".repeat(60_000)}\\\n`.repeat(40)}y\nENV a=b\n`;
  const { dockerfile: tree, diagnostics } = parseDockerfile(text, "Dockerfile");
  expect(diagnostics).toMatchObject([
    {
      message: "dockerfile parse error on line 2: an instruction may be 2097152 characters long, without its heredocs",
      location: { startLine: 2, endLine: 42 },
    },
  ]);
  expect(tree.instructions.map(({ kind }) => kind)).toEqual(["from", "env"]);
});
