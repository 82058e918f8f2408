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
