import { expect, test } from "vitest";
import type { NameList, OpMetadata } from "../../src/llb/index.js";
import { baseImage, convert, fakeBridge } from "./convert-fixture.js";

const bridge = fakeBridge({ "docker.io/library/base:latest": baseImage() });

async function steps(text: string, buildArgs: Record<string, string> = {}): Promise<readonly OpMetadata[]> {
  const request = { buildArgs: new Map(Object.entries(buildArgs)) };
  const { definition } = await convert(text, request, bridge);
  return [...definition.metadata.values()].filter(({ step }) => step !== undefined);
}

function namesOf(list: NameList | undefined): readonly string[] {
  return list ? [list.name, ...namesOf(list.previous)] : [];
}

test("a step knows which of its variables are ARGs, at its place of the stage", async () => {
  const found = await steps("FROM base\nARG A=1\nENV B=2\nRUN one\nARG C\nRUN two\n");
  expect(found.filter(({ name }) => name.includes("RUN")).map(({ args }) => namesOf(args))).toEqual([
    ["A"],
    ["C", "A"],
  ]);
});

test("a step that is no process knows the variables that its instruction names, with their values", async () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a Dockerfile's
  const text = 'FROM base\nARG A=1\nENV B=2 C=3\nCOPY $A "${B:-x}/$UNSET" /\nWORKDIR /plain\nCOPY <<EOF /f\n$C\nEOF\n';
  const found = await steps(text, { A: "given" });
  expect(found.map(({ variables }) => variables)).toEqual([undefined, ["A=given", "B=2"], undefined, ["C=3"]]);
});

test("a base image knows the variables that name it", async () => {
  const [from] = await steps("ARG NAME=base\nFROM $NAME\nRUN true\n");
  expect(from).toMatchObject({ variables: ["NAME=base"] });
  expect(namesOf(from?.args)).toContain("NAME");
});

test("a variable that is only written, quoted or escaped, is none of a step's", async () => {
  const text = "FROM base\nARG A=1 é=2\nCOPY '$A' /z\nWORKDIR /\\$A\nCOPY <<'E' /f\n$A\nE\nWORKDIR /$é\n";
  expect((await steps(text)).map(({ variables }) => variables)).toEqual([...Array(4).fill(undefined), ["é=2"]]);
});

test("what is told of many steps among many ARGs is told once", async () => {
  const pairs = Array.from({ length: 3_000 }, (_, n) => `ARG A${n}\nWORKDIR /${n}\n`);
  const found = await steps(`FROM base\n${pairs.join("")}`);
  const lists = new Set<NameList>();
  for (const { args } of found) for (let list = args; list && !lists.has(list); list = list.previous) lists.add(list);
  expect(found).toHaveLength(3_001);
  expect(lists.size).toBeLessThan(3_000 + 100);
});

test("a step knows what its variables, its user and its directory were written with, and what that was then", async () => {
  const text = "FROM base\nARG A\nENV B=$A/b C=plain\nENV A=later\nWORKDIR /w/$B\nWORKDIR below\nUSER $C\nRUN true\n";
  const found = await steps(text, { A: "1" });
  const a = { name: "A", value: "1", isArg: true, derivation: undefined };
  const b = { text: "$A/b", variables: [a] };
  const directory = [{ name: "B", value: "1/b", isArg: false, derivation: b }];
  const known = [];
  for (let list = found.at(-1)?.derivations; list; list = list.previous) known.push([list.of, list.derivation]);
  expect(known).toEqual([
    [{ setting: "USER" }, { text: "$C", variables: [expect.objectContaining({ name: "C", value: "plain" })] }],
    [{ setting: "WORKDIR" }, { text: "/w/$B below", variables: directory }],
    [{ setting: "WORKDIR" }, { text: "/w/$B", variables: directory }],
    [{ variable: "B" }, b],
  ]);
});

test("a step knows by which ARGs the stages were chosen that it reads, and what its stage has from its image", async () => {
  const text =
    "ARG S=one\nFROM base AS one\nRUN true\nFROM $S AS chosen\nFROM base\nENV OWN=1\nCOPY --from=chosen / /\nRUN x\n";
  const found = await steps(text);
  expect(found.find(({ name }) => name.includes("COPY"))?.choosers).toEqual(["S=one"]);
  const run = found.find(({ name }) => name.includes("RUN x"));
  expect(run?.choosers).toBeUndefined();
  expect([...(run?.inherited ?? [])].join()).not.toContain("OWN");
  expect([...(run?.inherited ?? [])].join()).toContain("PATH=");
});
