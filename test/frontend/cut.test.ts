import { describe, expect, it } from "vitest";
import { type DockerfilePlace, type FrontendRequest, requestAt } from "../../src/frontend/index.js";

const TEXT = `ARG V=1
FROM base AS one
ENV A=1
RUN <<E
echo FROM here
E

FROM one
# a comment
RUN make \\
  all
`;

function at(place: DockerfilePlace["at"], side: DockerfilePlace["side"] = "after", text = TEXT): string {
  const request = { dockerfile: { name: "Dockerfile", text }, target: "one", buildArgs: new Map() };
  const cut = requestAt(request as unknown as FrontendRequest, { at: place, side });
  expect(cut.target).toBeUndefined();
  return cut.dockerfile.text;
}

function upTo(line: number): string {
  return TEXT.split("\n").slice(0, line).join("\n");
}

const PROCESS = '\nRUN ["/bin/sh"]\n';

describe("a Dockerfile that ends at a place", () => {
  it("holds all up to that instruction, and a process", () => {
    expect(at({ line: 3 })).toBe(`${upTo(3)}${PROCESS}`);
    expect(at({ line: 5 })).toBe(`${upTo(6)}${PROCESS}`);
    expect(at({ line: 10 })).toBe(`${upTo(11)}${PROCESS}`);
    expect(at({ line: 2 })).toBe(`${upTo(2)}${PROCESS}`);
  });

  it("holds a whole stage, by its name or number", () => {
    for (const stage of ["one", "ONE", "0"]) expect(at({ stage })).toBe(`${upTo(6)}${PROCESS}`);
    expect(at({ stage: "1" })).toBe(`${upTo(11)}${PROCESS}`);
  });

  it("ends with a RUN itself where its place is wanted, and before anything else with a process", () => {
    expect(at({ line: 4 }, "before")).toBe(`${upTo(6)}\n`);
    expect(at({ line: 3 }, "before")).toBe(`${upTo(2)}${PROCESS}`);
  });

  it("ends where the file does, though its last line goes on", () => {
    for (const rest of ["\\\n", "\\", "\\ \n\n # end\n"])
      expect(at({ stage: "0" }, "after", `FROM base\nENV A=1 ${rest}`)).toBe(`FROM base\nENV A=1 ${PROCESS}`);
    expect(at({ line: 3 }, "after", "# escape=`\nFROM base\nRUN x `\n")).toBe(
      `# escape=\`\nFROM base\nRUN x ${PROCESS}`,
    );
  });

  it("is refused where there is no such place", () => {
    expect(() => at({ line: 1 })).toThrow("no step at Dockerfile:1");
    expect(() => at({ line: 9 })).toThrow("no step at Dockerfile:9");
    expect(() => at({ stage: "two" })).toThrow('no stage "two": there are one, 1');
    expect(() => at({ line: 2 }, "before")).toThrow("nothing stands before a FROM");
  });
});
