// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import { expect, it } from "vitest";
import { EngineError } from "../../src/base/index.js";
import {
  checkDockerfile,
  createDockerfileFrontend,
  type Diagnostic,
  DiagnosticError,
} from "../../src/frontend/index.js";
import { fakeBridge, requestFor } from "./convert-fixture.js";

const PREFIX = /^dockerfile parse error on line \d+: /;

/** The words that a diagnostic points at. */
function culpritOf(text: string, { culprit }: Diagnostic): string | undefined {
  if (!culprit || culprit.start.line !== culprit.end.line) return undefined;
  return text.split("\n")[culprit.start.line - 1]?.slice(culprit.start.character, culprit.end.character);
}

/** The mistakes that a build of TEXT is refused for, as `line message [culprit]`; none where it is not. */
async function refused(text: string): Promise<readonly string[]> {
  const error: unknown = await createDockerfileFrontend()
    .solve(requestFor(text), fakeBridge({}))
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  if (error === undefined) return [];
  if (!(error instanceof DiagnosticError)) throw error;
  return error.diagnostics.map((each) => line(text, each));
}

async function checked(text: string): Promise<readonly string[]> {
  const { diagnostics } = await checkDockerfile(requestFor(text), fakeBridge({}));
  return diagnostics.filter(({ severity }) => severity === "error").map((each) => line(text, each));
}

function line(text: string, diagnostic: Diagnostic): string {
  const culprit = culpritOf(text, diagnostic);
  const message = diagnostic.message.replace(PREFIX, "");
  return `${diagnostic.location?.startLine} ${message}${culprit === undefined ? "" : ` [${culprit}]`}`;
}

const MISTAKES = [
  "FROM scratch",
  "RUN --mount=type=bnid,target=/a true",
  "RUN --mount=type=cache,target=/a,sharing=lokced --mount=type=bind,tagret=/b true",
  "RUN --mount=type=secret,requred true",
  "STOPSIGNAL FOO",
  "EXPOSE 80 zz 99999 80/foo",
  "COPY --chmod=zz a b",
  "COPY http://a/b https://a/b.git c",
  "ADD --checksum=sha256:aa a b",
  "RUN []",
];

const TOLD = [
  '2 unsupported mount type "bnid" (did you mean bind?) [bnid]',
  '3 unsupported sharing value "lokced" (did you mean locked?) [lokced]',
  "3 unexpected key 'tagret' in 'tagret=/b' (did you mean target?) [tagret]",
  "4 invalid field 'requred' must be a key=value pair (did you mean required?) [requred]",
  "5 invalid signal: FOO [FOO]",
  "6 invalid containerPort: zz [zz]",
  "6 invalid containerPort: 99999 [99999]",
  '6 invalid port: "80/foo": invalid proto: foo [80/foo]',
  "7 invalid chmod parameter: 'zz': invalid syntax [zz]",
  "8 source can't be a URL for COPY [http://a/b]",
  "8 source can't be a git ref for COPY [https://a/b.git]",
  "9 checksum requires HTTP(S) or Git sources [sha256:aa]",
  "10 arguments are required [RUN]",
];

it("every mistake that needs no variable is told with the first, each at its words", async () => {
  const text = `${MISTAKES.join("\n")}\n`;
  expect(await refused(text)).toEqual(TOLD);
  expect(await checked(text)).toEqual(TOLD);
});

it("what stops a build at first is told first", async () => {
  const text = `FROM scratch AS a\nRUN --mount=type=bnid true\nFROM scratch\nSTOPSIGNAL FOO\nEXPOSE zz\n`;
  expect(await refused(text)).toEqual([
    "4 invalid signal: FOO [FOO]",
    '2 unsupported mount type "bnid" (did you mean bind?) [bnid]',
    "5 invalid containerPort: zz [zz]",
  ]);
  const broken = `${text}FOO\n`;
  expect((await refused(broken))[0]).toMatch(/^6 unknown instruction: FOO/);
  expect(await refused(broken)).toHaveLength(4);
  expect(await checked(broken)).toEqual(await refused(broken));
});

it("a stage that is not needed may hold such mistakes", async () => {
  const unneeded = `FROM scratch AS a\n${MISTAKES.slice(1).join("\n")}\nFROM scratch\nENV a=b\n`;
  expect(await refused(unneeded)).toEqual([]);
});

it("nothing is foreseen of what holds a variable or a quote", async () => {
  const text = [
    "FROM scratch",
    "STOPSIGNAL FOO",
    "ARG T=bind",
    "RUN --mount=type=$T,target=/a true",
    "STOPSIGNAL $T",
    'STOPSIGNAL "TERM"',
    "EXPOSE $T",
    "COPY --chmod=$T a b",
    "COPY $T b",
  ];
  expect(await refused(`${text.join("\n")}\n`)).toEqual(["2 invalid signal: FOO [FOO]"]);
});

it("what only the conversion finds has its words too", async () => {
  const first = async (...lines: string[]) => (await refused(`${lines.join("\n")}\n`))[0];
  expect(await first("FROM scratch", "ARG P=zz", "EXPOSE $P")).toBe("3 invalid containerPort: zz [$P]");
  expect(await first("FROM scratch", "RUN --mount=type=tmpfs,target=/ true")).toBe(
    '2 invalid mount target "/" [--mount=type=tmpfs,target=/]',
  );
  expect(await first("FROM scratch", "ADD --checksum=zz http://a/b c")).toBe("2 invalid checksum digest format [zz]");
  expect(await first("FROM scratch AS a", "COPY --from=b x y", "FROM scratch AS b", "FROM a")).toBe(
    '2 cannot copy from stage "b", it needs to be defined before current stage "a" [b]',
  );
  expect(await first("FROM scratch AS a", "COPY --from=b x y", "FROM scratch AS b", "COPY --from=a x y")).toMatch(
    /^\d circular dependency detected on stage: a \[--from=.\]$/,
  );
});

it("a brace that is never closed is said to be missing", async () => {
  const { diagnostics } = await checkDockerfile(requestFor("FROM scratch\nENV a=${b\n"), fakeBridge({}));
  expect(diagnostics.at(-1)).toMatchObject({ hint: expect.stringContaining("a } is missing") });
});

it("the stage that was probably meant stands first in the hint of an image that is not there", async () => {
  const bridge = {
    ...fakeBridge({}),
    resolveImageConfig: () => Promise.reject(new EngineError("denied", "denied", { hint: "Log in." })),
  };
  const { diagnostics } = await checkDockerfile(requestFor("FROM scratch AS build\nFROM biuld\n"), bridge);
  expect(diagnostics[0]).toMatchObject({
    message: "biuld: denied (did you mean build?)",
    hint: "The stage build was probably meant. Log in.",
  });
});

it("a check tells of misspelt build arguments beside its answer", async () => {
  const bridge = fakeBridge({});
  const request = requestFor("FROM scratch\nARG VERSION\n", { buildArgs: new Map([["VERSON", "1"]]) });
  expect((await checkDockerfile(request, bridge)).diagnostics).toEqual([]);
  expect(bridge.warnings.map(({ message }) => message)).toEqual([
    "build argument VERSON is not used (did you mean VERSION?)",
  ]);
});
