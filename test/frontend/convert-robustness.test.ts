import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DiagnosticError } from "../../src/frontend/index.js";
import { digestOfNode } from "../../src/llb/index.js";
import { convert } from "./convert-fixture.js";

const word = fc.oneof(
  fc.constantFrom(
    "a",
    "/x/../y/",
    "$A",
    `\${A:-b}`,
    "'q",
    '"$A b"',
    "\\",
    "..",
    "*",
    "[",
    "a:b@",
    "https://h/f",
    "git://h/r.git#x:y",
    "=",
    "",
  ),
  fc.string({ maxLength: 6 }).map((text) => text.replace(/[\r\n]/g, "")),
);
const words = fc.array(word, { maxLength: 4 }).map((parts) => parts.join(" "));
const json = fc.array(word, { maxLength: 3 }).map((parts) => JSON.stringify(parts));
const flag = fc
  .tuple(
    fc.constantFrom(
      "mount=type=cache,target",
      "mount=from",
      "from",
      "chown",
      "chmod",
      "link",
      "parents",
      "exclude",
      "checksum",
      "platform",
    ),
    word,
  )
  .map(([name, value]) => `--${name}=${value}`);
const keyword = fc.constantFrom(
  ..."FROM RUN COPY ADD ARG ENV LABEL WORKDIR USER EXPOSE VOLUME CMD ENTRYPOINT SHELL STOPSIGNAL HEALTHCHECK ONBUILD".split(
    " ",
  ),
);
const instruction = fc
  .tuple(keyword, fc.option(flag, { nil: "" }), fc.oneof(words, json))
  .map(([name, option, rest]) => [name, option, rest].filter(Boolean).join(" "));
const stage = fc.array(instruction, { maxLength: 6 }).map((lines) => ["FROM base", ...lines].join("\n"));

describe("whatever a Dockerfile holds, its conversion", () => {
  it("gives a whole graph or says what is wrong and where", async () => {
    await fc.assert(
      fc.asyncProperty(stage, async (text) => {
        try {
          const { definition } = await convert(text);
          for (const [digest, node] of definition.nodes) {
            expect(digestOfNode(node)).toBe(digest);
            for (const input of node.inputs) expect(definition.nodes.has(input.digest)).toBe(true);
          }
        } catch (error) {
          if (!(error instanceof DiagnosticError)) throw error;
          expect(error.diagnostics[0]?.location?.startLine).toBeGreaterThan(0);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("ends for stages that name each other in every way", async () => {
    const reference = fc.constantFrom("a", "b", "c", "0", "1", "2", "base");
    const step = fc.oneof(
      reference.map((name) => `COPY --from=${name} /x /y`),
      reference.map((name) => `RUN --mount=from=${name},target=/m true`),
      reference.map((name) => `ONBUILD COPY --from=${name} /x /y`),
    );
    const named = (name: string) =>
      fc
        .tuple(reference, fc.array(step, { maxLength: 3 }))
        .map(([base, steps]) => [`FROM ${base} AS ${name}`, ...steps]);
    await fc.assert(
      fc.asyncProperty(fc.tuple(named("a"), named("b"), named("c")), async (stages) => {
        const outcome = await convert(stages.flat().join("\n")).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(DiagnosticError);
      }),
      { numRuns: 300 },
    );
  });
});
