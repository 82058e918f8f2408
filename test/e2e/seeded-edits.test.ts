import { afterAll, beforeAll, expect, test } from "vitest";
import { buildText, closeSeeds, EDITS, everythingKept, openSeeds, planText, seeded, told } from "./seeded-edits.js";

beforeAll(openSeeds);
afterAll(closeSeeds);

const names = Object.keys(EDITS).filter((name) => !EDITS[name]?.isLike);

test.each(names)("%s is the only cause among many builds that are unlike", (name) => seeded(name, 1));

/** What each of the builds of TEXTS, one after the other, tells. */
async function history(texts: readonly string[]): Promise<readonly string[]> {
  let last: readonly string[] = [];
  for (const text of texts) last = told(await buildText(text));
  return last;
}

test("an earlier build of another kind does not come in between", async () => {
  const text = (flag: string) => `FROM base AS q\nCOPY ${flag}conf /\nRUN cat /conf\nRUN ls\n`;
  const other = "FROM base AS q\nRUN true\nRUN ls\n";
  expect(await history([text(""), other, text("--chmod=600 ")])).toEqual(["--chmod is new: 600"]);
});

test("of two heredocs that changed in turn the last one is told", async () => {
  const text = (copied: string, run: string) =>
    `FROM base AS h\nENV A=1 B=2\nRUN echo x\nCOPY <<E /a\n${copied}\nE\nRUN <<E\necho ${run}\nE\n`;
  const { misses } = await buildText(text("one", "one")).then(async () => {
    await buildText(text("one", "two"));
    return buildText(text("three", "one"));
  });
  const causes = misses.flatMap((miss) => miss.causes);
  expect(causes.map(({ cause }) => cause)).toEqual([0, 1].map(() => ({ kind: "instruction", part: "heredoc" })));
  expect(causes[1]?.step?.name).toContain("COPY <<E");
});

test("of two steps that changed places one is told, and nothing is new", async () => {
  const text = (...lines: readonly string[]) => `FROM base AS s\n${lines.join("\n")}\nRUN true\n`;
  const [a, b] = ["COPY conf /c", "RUN echo b"];
  const found = await history([text(a, b), text(b, a)]);
  expect(found).toHaveLength(2);
  expect(found.join()).toMatch(/at this place: it was \[.*was moved: it was \[/);
});

test("a build that was cached as a whole is what the next one is compared with", async () => {
  const text = (flag: string, name: string) => `FROM base AS ${name}\nCOPY ${flag} /x\nRUN cat /x\n`;
  expect(await history([text("conf", "k"), text("plain.txt", "k"), text("conf", "k"), text("last.txt", "k")])).toEqual(
    ["source conf -> last.txt"].map((each) => expect.stringContaining(each.slice(0, 6))),
  );
});

test("a build that had not the step yet is not what an edit of it is told against", async () => {
  const text = (...lines: readonly string[]) => `FROM base AS grown\nARG P\nARG Q\nCOPY conf /\n${lines.join("\n")}\n`;
  await history([text(), text("RUN true")]);
  const found = told(await buildText(text("RUN true"), undefined, { P: "2", Q: "2" }));
  expect(found).toEqual(["ARG P is new: 2", "ARG Q is new: 2"]);
});

test("of a stage that begins with nothing it is told which steps went, moved or came to stand on an image", async () => {
  const [a, b] = ["COPY conf /on-nothing", "COPY plain.txt /on-nothing-too"];
  const text = (from: string, ...lines: readonly string[]) => `FROM ${from} AS empty\n${lines.join("\n")}\n`;
  expect(await history([text("scratch", a, b), text("scratch", b)])).toEqual([`[1/2] ${a} was removed`]);
  const moved = await history([text("scratch", a, b), text("scratch", b, a)]);
  expect(moved).toEqual([expect.stringContaining(" was moved: it was [2/2]")]);
  expect(await history([text("base", b, a)])).toEqual(["image scratch -> base"]);
});

test("a --from that comes or goes is told as that, and not by the files that are others", async () => {
  const text = (flag: string) =>
    `FROM scratch AS source\nCOPY last.txt /conf\nFROM scratch AS last\nCOPY ${flag}conf /from-where\n`;
  const gone = await history([text("--from=source "), text("")]);
  expect(gone).toEqual([expect.stringMatching(/^--from .*removed/)]);
  const text2 = text("").replaceAll("source", "origin").replace("last.txt", "plain.txt");
  expect(await history([text2, text2.replace("COPY conf", "COPY --from=origin conf")])).toEqual([
    "--from is new: origin",
  ]);
});

test("a mount of another source is told as that, and not by the files that are others", async () => {
  const text = (source: string) => `FROM base AS mounting\nRUN --mount=source=${source},target=/m cat /m\n`;
  expect(await history([text("conf"), text("plain.txt")])).toEqual([
    "--mount source=conf,target=/m -> source=plain.txt,target=/m",
  ]);
});

const STAGES = "FROM base AS one\nRUN echo 1 > /o\nFROM base AS two\nRUN echo 2 > /o\n";

/** Two builds of one text by their arguments, and all that is told of the second. */
const DERIVED: Readonly<Record<string, readonly [text: string, ...args: Readonly<Record<string, string>>[]]>> = {
  "ARG V /1 -> /2: in what ENV makes of it": [
    "ARG V\nENV B=$V/x C=$B\nCOPY conf $C/\nRUN true\n",
    { V: "/1" },
    { V: "/2" },
  ],
  "ARG V is new: x: in place of a default": [`ARG V\nENV B=\${V:-d}\nRUN true\n`, {}, { V: "x" }],
  "ARG V /1 -> /2: as the working directory": [
    "ARG V\nWORKDIR $V\nRUN true\nWORKDIR s\nCOPY conf .\n",
    { V: "/1" },
    { V: "/2" },
  ],
  "ARG V 0 -> 0:0: as the user": ["ARG V\nUSER $V\nRUN true\n", { V: "0" }, { V: "0:0" }],
  "ARG V conf -> plain.txt: as what is copied": ["ARG V\nCOPY $V /v\nRUN true\n", { V: "conf" }, { V: "plain.txt" }],
  "ARG V src -> logs: as what is mounted": [
    "ARG V\nRUN --mount=source=$V,target=/m ls /m\n",
    { V: "src" },
    { V: "logs" },
  ],
};

test.each(Object.entries(DERIVED))("%s", async (name, [text, ...args]) => {
  const found: (readonly string[])[] = [];
  const dockerfile = `FROM base AS derived${Object.keys(DERIVED).indexOf(name)}\n${text}`;
  for (const each of args) found.push(told(await buildText(dockerfile, undefined, each)));
  expect(found.at(-1)).toEqual([name.slice(0, name.lastIndexOf(":"))]);
});

test("an ARG that chooses a stage is the cause wherever that is read", async () => {
  const text = `ARG WHICH=one\n${STAGES}FROM $WHICH AS chosen\nFROM base AS chooser\nCOPY --from=chosen /o /o\n`;
  const mounted = `${text}RUN --mount=from=chosen,source=/o,target=/m cat /m\n`;
  await buildText(mounted);
  expect(told(await buildText(mounted, undefined, { WHICH: "two" }))).toEqual(["ARG WHICH one -> two"]);
});

test("stages whose names were exchanged are known by their steps", async () => {
  const text = (one: string, two: string, edit: string) =>
    `FROM base AS ${one}\nCOPY conf /f\nRUN cat /f${edit}\nFROM base AS ${two}\nCOPY plain.txt /f\nRUN ls /f\n` +
    `FROM base AS exchanged\nCOPY --from=${one} /f /a\nCOPY --from=${two} /f /c\n`;
  const built = (...words: Parameters<typeof text>) => buildText(text(...words), undefined, {}, "exchanged");
  await built("one", "two", "");
  expect(told(await built("two", "one", ""))).toEqual([]);
  expect(told(await built("one", "two", " # edited"))).toEqual([expect.stringMatching(/^command cat \/f -> /)]);
});

test("an edit for which nothing ran is no cause of what runs for the next", async () => {
  const text = (source: string, run: string) => `FROM base AS quiet\nARG V=conf\nCOPY ${source} /c\nRUN ${run}\n`;
  expect(await history([text("$V", "true"), text("conf", "true")])).toEqual([]);
  expect(await history([text("conf", "ls")])).toEqual(["command true -> ls"]);
});

test("the last build of a target is remembered, however often others are built after it", async () => {
  const text = (run: string) => `FROM base AS app\nRUN ${run}\nFROM base AS rare\nCOPY conf /rare\nRUN ls /rare\n`;
  const built = (target: string, ...words: Parameters<typeof text>) =>
    buildText(text(...words), undefined, {}, "targets", target);
  await built("rare", "true");
  for (let n = 0; n < 30; n++) await built("app", `: ${n}`);
  const edited = text("true").replace("RUN ls", "RUN ls -l");
  expect(told(await buildText(edited, undefined, {}, "targets", "rare"))).toEqual(["command ls /rare -> ls -l /rare"]);
});

test("of a secret that is part of something no trace is told, from which it could be guessed", async () => {
  const text = "FROM base AS guessed\nARG API_KEY\nWORKDIR /w-$API_KEY\n";
  await buildText(text, undefined, { API_KEY: "guessable1" });
  const { misses } = await buildText(text.replace("w-", "v-"), undefined, { API_KEY: "guessable1" });
  expect(misses.flatMap(({ causes }) => causes.map(({ cause }) => cause))).toEqual([
    { kind: "instruction", part: "WORKDIR", from: "/w-****", to: "/v-****" },
  ]);
});

test("a step that failed in the last build is told as that, and one behind it not at all", async () => {
  const text = (command: string) => `FROM base AS f\nRUN ${command}\nRUN echo behind\n`;
  const failing = "test -e /sys/nothing";
  await expect(buildText(text(failing))).rejects.toThrow();
  const misses: string[] = [];
  await buildText(text(failing), (line) => misses.push(line)).catch(() => undefined);
  expect(misses).toEqual(["it failed in the last build"]);
  expect(await history([text("true")])).toEqual([]);
});

test("what may be secret is in no name, cause or record", async () => {
  const text =
    "FROM base\nARG TOKEN\nARG SHOWN\nRUN echo $TOKEN $SHOWN > /dev/null\nCOPY conf /d/$TOKEN/\nRUN : https://host/?sig=topsecret2\n";
  for (const SHOWN of ["seen1", "seen2"]) {
    const { steps } = await buildText(text, undefined, { TOKEN: "topsecret1", SHOWN });
    const names = steps.map(({ name }) => name).join("\n");
    expect(names).toContain(`RUN echo **** ${SHOWN}`);
    expect(names).toContain("RUN : https://host/?sig=xxxxx");
    expect(names).not.toContain("topsecret");
  }
  expect(everythingKept()).toContain("seen2");
  expect(everythingKept()).not.toContain("topsecret");
});

test("a plan names the step whose document is new, and not what is made for it", async () => {
  const { steps } = await planText("FROM base\nCOPY <<D /d\nnever built\nD\nRUN cat /d\n");
  expect(steps.at(-1)).toMatchObject({ state: "depends", on: expect.stringContaining("COPY <<D /d") });
});
