import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { prepareGround } from "../../src/engine/ground.js";

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
