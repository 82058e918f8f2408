import { describe, expect, it } from "vitest";
import { contextSource, type FrontendRequest } from "../../src/frontend/index.js";
import type { SourceOp } from "../../src/llb/index.js";
import { convert, fakeBridge, nodesNamed, refusal } from "./convert-fixture.js";

const lines = (...text: readonly string[]) => text.join("\n");
const COMMIT = new Date("2021-02-03T04:05:06Z");
const REPOSITORY = "git://example.org/r.git#v1";
const FILE = "https://example.org/a.tar";

function fixed(value: string, changes: Partial<FrontendRequest> = {}): Partial<FrontendRequest> {
  return { ...changes, buildArgs: new Map([["SOURCE_DATE_EPOCH", value]]) };
}

function source(address: string): SourceOp {
  const op = contextSource(address);
  if (op === undefined) throw new Error(`${address} is no address`);
  return op;
}

const bridge = () => fakeBridge(undefined, {}, { [REPOSITORY]: COMMIT, [FILE]: new Date("2022-01-01T00:00:00.500Z") });

describe("SOURCE_DATE_EPOCH", () => {
  it("fixes the times of directories and of the history, and is a variable where it is declared", async () => {
    const { config, epoch } = await convert(
      lines("FROM scratch", "ARG SOURCE_DATE_EPOCH", "WORKDIR /t$SOURCE_DATE_EPOCH"),
      fixed("1612325106"),
    );
    expect(epoch).toEqual(COMMIT);
    expect(config.config.WorkingDir).toBe("/t1612325106");
    expect(config.history.map((entry) => entry.created)).toEqual(["2021-02-03T04:05:06Z", "2021-02-03T04:05:06Z"]);
  });

  it("may be an ARG ahead of the first FROM, an empty one saying nothing", async () => {
    const text = (value: string) => lines(`ARG SOURCE_DATE_EPOCH=${value}`, "FROM scratch", "ARG SOURCE_DATE_EPOCH");
    expect((await convert(text("7"))).epoch).toEqual(new Date(7000));
    const { epoch, config } = await convert(text(""));
    expect(epoch).toBeUndefined();
    expect(config.history.at(-1)?.created_by).toBe("ARG SOURCE_DATE_EPOCH=");
  });

  it("is as if it were not given where it names something without a time of its own", async () => {
    const contexts: FrontendRequest["contexts"] = new Map([
      ["dir", { kind: "local", name: "dir" }],
      ["image", { kind: "image", reference: "base" }],
    ]);
    for (const value of ["", "context", "dir", "image"]) {
      const { epoch, config } = await convert("FROM scratch\nARG SOURCE_DATE_EPOCH", fixed(value, { contexts }));
      expect(epoch).toBeUndefined();
      expect(config.history.at(-1)?.created_by).toBe("ARG SOURCE_DATE_EPOCH");
    }
  });

  it("is the time of the context or the named context that a repository gives", async () => {
    const op = source("https://example.org/r.git#v1");
    const main = fixed("context", { mainContext: { op, unpack: false } });
    expect((await convert("FROM scratch", main, bridge())).epoch).toEqual(COMMIT);
    const named = fixed("Repo".toLowerCase(), { contexts: new Map([["repo", { kind: "source", op }]]) });
    expect((await convert("FROM scratch", named, bridge())).epoch).toEqual(COMMIT);
  });

  it("is the time of what a stage adds from the network, in whole seconds as a variable", async () => {
    const text = lines(
      "ARG HOST=example.org",
      "FROM scratch AS Origin",
      "ARG NAME=b",
      "ADD https://$HOST/$NAME.tar /",
      "FROM scratch",
      "ARG SOURCE_DATE_EPOCH",
    );
    const buildArgs = new Map([
      ["SOURCE_DATE_EPOCH", "origin"],
      ["NAME", "a"],
    ]);
    const { epoch, config } = await convert(text, { buildArgs }, bridge());
    expect(epoch).toEqual(new Date("2022-01-01T00:00:00.500Z"));
    expect(config.history.at(-1)).toMatchObject({
      created: "2022-01-01T00:00:00.5Z",
      created_by: "ARG SOURCE_DATE_EPOCH=1640995200",
    });
  });

  it.each([
    ["FROM base AS o\nADD https://h/f /", "SOURCE_DATE_EPOCH stage must use FROM scratch"],
    ["FROM scratch AS o", "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD"],
    [
      "FROM scratch AS o\nADD https://h/f /\nADD https://h/g /",
      "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD",
    ],
    [
      "FROM scratch AS o\nADD https://h/f https://h/g /",
      "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD source",
    ],
    ["FROM scratch AS o\nADD f /", "SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD"],
    [
      "FROM scratch AS o\nENV A=1\nADD https://h/f /",
      "SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported ENV instruction",
    ],
  ])("is refused where its stage is %j", async (stage, message) => {
    expect(await refusal(`${stage}\nFROM scratch`, fixed("o"))).toMatchObject({ message, location: { startLine: 1 } });
  });

  it("is refused for what it can't be", async () => {
    await expect(convert("FROM scratch", fixed("yesterday"))).rejects.toThrow("invalid SOURCE_DATE_EPOCH: yesterday");
    await expect(convert("FROM scratch", fixed("No:Name:At:All"))).rejects.toThrow("invalid context name");
    await expect(convert("FROM scratch", fixed("253402300800"))).rejects.toThrow("can't be written in an image");
  });
});

describe("a context that is not the caller's directory", () => {
  it("is what steps copy from, whole, and unpacked where it is an archive", async () => {
    const git = { op: source("https://example.org/r.git#v1"), unpack: false };
    const plain = await convert("FROM scratch\nCOPY a /", { mainContext: git }, bridge());
    expect([...nodesNamed(plain.definition, "source").keys()]).toEqual([`[internal] load git source ${REPOSITORY}`]);
    const archive = { op: source(FILE), unpack: true };
    const unpacked = await convert("FROM scratch\nCOPY a /", { mainContext: archive }, bridge());
    const [unpack] = [...nodesNamed(unpacked.definition, "file").values()];
    expect(unpack?.op).toMatchObject({ actions: [{ action: { src: "/context", dest: "/", attemptUnpack: true } }] });
  });
});
