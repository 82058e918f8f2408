// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import fc from "fast-check";
import { expect, it } from "vitest";
import { parseDockerfile } from "../../src/frontend/dockerfile/parser.js";
import { printDockerfile } from "../../src/frontend/dockerfile/print.js";

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

it("anything at all parses to a tree or to errors, and never throws", () => {
  fc.assert(
    fc.property(fc.oneof(nonsense, fc.string({ unit: "binary" })), (text) => {
      const { dockerfile, diagnostics } = parseDockerfile(text, "Dockerfile");
      expect(dockerfile.stages.length > 0 || diagnostics.length > 0).toBe(true);
      const lines = text.split("\n").length;
      for (const { range } of dockerfile.instructions) {
        expect(range.start.line).toBeGreaterThanOrEqual(1);
        expect(range.end.line).toBeLessThanOrEqual(lines);
      }
      for (const { location } of diagnostics) {
        expect(location?.startLine).toBeGreaterThanOrEqual(1);
        expect(location?.endLine).toBeGreaterThanOrEqual(location?.startLine ?? 0);
      }
    }),
    { numRuns: 1000 },
  );
});

it("every place in the tree shows the word that stands there", () => {
  fc.assert(
    fc.property(nonsense, (text) => {
      const { dockerfile } = parseDockerfile(`FROM base\n${text}`, "Dockerfile");
      const lines = `FROM base\n${text}`.split("\n");
      for (const { keyword } of dockerfile.instructions) {
        const { start, end } = keyword.range;
        if (start.line !== end.line) continue;
        expect(lines[start.line - 1]?.slice(start.character, end.character)).toBe(keyword.text);
      }
    }),
    { numRuns: 1000 },
  );
});

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

it("printing again changes nothing", () => {
  fc.assert(
    fc.property(dockerfile, (text) => {
      const printed = printDockerfile(parseDockerfile(text, "Dockerfile").dockerfile);
      expect(printDockerfile(parseDockerfile(printed, "Dockerfile").dockerfile)).toBe(printed);
    }),
  );
});

const MEGABYTE = 1024 * 1024;

it.each([
  ["a long line", `RUN ${"x".repeat(60_000)}`],
  ["many continuations", "RUN a \\\n".repeat(MEGABYTE / 10)],
  ["many words", `ENV ${"a=b ".repeat(MEGABYTE / 40)}`],
  ["many escapes", `ENV a=${"\\ ".repeat(MEGABYTE / 20)}`],
  ["many quotes", `ENV a=${"'".repeat(MEGABYTE / 10 + 1)}`],
  ["many blanks", `COPY a${" \\\n".repeat(MEGABYTE / 30)} b`],
  ["a long flag", `RUN --mount=${"a,".repeat(MEGABYTE / 20)} x`],
  ["open brackets", `CMD ${"[\\\n".repeat(MEGABYTE / 30)}`],
  ["many heredocs", `RUN ${"<<a ".repeat(MEGABYTE / 60)}\n${"a\n".repeat(MEGABYTE / 60)}`],
  ["a long heredoc", `RUN <<a\n${"b\n".repeat(MEGABYTE / 20)}a`],
  ["substitutions in a line with a heredoc", `RUN ${"${a:-".repeat(MEGABYTE / 60)} <<b`],
  ["slashes", `WORKDIR ${"/".repeat(60_000)}`],
])("%s takes time in proportion to its length", (_, text) => {
  const started = performance.now();
  parseDockerfile(`FROM base\n${text}\n`, "Dockerfile");
  expect(performance.now() - started).toBeLessThan(3000);
});
