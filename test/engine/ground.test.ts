import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it, test } from "vitest";
import { prepareGround } from "../../src/engine/ground.js";

describe("a state directory with something in its way", () => {
  let root: string;
  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-ground-"));
    return () => fs.rmSync(root, { recursive: true });
  });
  const prepare = (directory = root) => prepareGround(directory, { ownership: { kind: "machine" } });
  const refused = (at: string, sentence: string, hint: string) =>
    expect.objectContaining({ code: "invalid", message: `the state directory ${at} can't be used: ${sentence}`, hint });
  const elsewhere = "name another place with --root or ASHLAR_ROOT";

  it.each(["contexts", "layers", "mnt", "run", "ingest", "blobs/sha256", "layers/empty"])("says so of %s", (name) => {
    const place = path.join(root, name);
    const hint = `remove ${place}, or ${elsewhere}`;
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.writeFileSync(place, "");
    expect(() => prepare()).toThrow(refused(root, `${place} is no directory`, hint));
    fs.rmSync(place);
    fs.symlinkSync("nowhere", place);
    expect(() => prepare()).toThrow(refused(root, `${place} is a link that leads nowhere`, hint));
    fs.mkdirSync(path.join(path.dirname(place), "nowhere"));
    prepare();
  });

  it("says so of its database", () => {
    fs.mkdirSync(path.join(root, "ashlar.db"));
    expect(() => prepare()).toThrow(`${path.join(root, "ashlar.db")} is no file`);
  });

  it("says so of itself", () => {
    const place = path.join(root, "root");
    fs.symlinkSync("root", place);
    expect(() => prepare(place)).toThrow(refused(place, "it is a link that leads nowhere", elsewhere));
    fs.rmSync(place);
    fs.writeFileSync(place, "");
    expect(() => prepare(place)).toThrow(refused(place, "it is no directory", elsewhere));
    const below = path.join(place, "deep");
    expect(() => prepare(below)).toThrow(refused(below, "it is below something that is no directory", elsewhere));
  });
});

test("what tells of builds is the user's own, also in a directory that once let others in", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-ground-"));
  const options = { ownership: { kind: "machine" } } as const;
  const modes = () =>
    Object.fromEntries(
      fs.readdirSync(root).map((name) => [name, (fs.statSync(path.join(root, name)).mode & 0o777).toString(8)]),
    );
  prepareGround(root, options);
  const [own, passed] = ["700", "711"];
  const wanted = {
    ...{ blobs: own, cachemounts: own, contexts: own, git: own, ingest: own, logs: own, owners: own },
    ...{ layers: passed, mnt: passed, run: passed, tmp: passed },
  };
  expect(modes()).toEqual(wanted);
  for (const name of ["blobs", "logs", "ingest"]) fs.chmodSync(path.join(root, name), 0o755);
  prepareGround(root, options);
  expect(modes()).toEqual(wanted);
  fs.rmSync(root, { recursive: true });
});
