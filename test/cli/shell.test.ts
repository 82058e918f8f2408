import { describe, expect, it } from "vitest";
import { finished } from "./world.js";

describe("ashlar shell", () => {
  it("takes a name alone for an image, and one with a context for a step", async () => {
    const image = ["shell", "-e", "A=1", "-v", "./d:/d", "-u", "app", "app:2", "--", "ls", "-l", "--", "x"];
    expect((await finished(image, { cwd: "/home" })).calls).toEqual([
      {
        place: { kind: "image", image: "app:2", volumes: ["/home/d:/d"] },
        args: ["ls", "-l", "--", "x"],
        env: ["A=1"],
        user: "app",
        signal: expect.any(AbortSignal),
      },
    ]);
    const step = ["shell", "--before", "-f", "/other", "--build-arg", "V=1", "build:2", "/", "--", "id"];
    expect((await finished(step)).calls).toMatchObject([
      {
        place: {
          kind: "step",
          step: "build:2",
          side: "before",
          build: { context: "/", dockerfile: "/other", buildArgs: { V: "1" } },
        },
        args: ["id"],
      },
    ]);
  });

  it.each([
    [["shell", "app"], "a shell needs a terminal on standard input and output: without one, give a command after --"],
    [["shell", "--", "id"], "no image given to open a shell in, and no step and context"],
    [["shell", "a", "/", "b", "--", "id"], 'unexpected "b": a command stands after --'],
    [["shell", "--before", "a", "--", "id"], "a step is named with its context: ashlar shell STEP CONTEXT"],
    [
      ["shell", "-v", "/a:/b", "a", "/", "--", "id"],
      "--volume is for images: a step has the mounts that its RUN asks for",
    ],
  ])("refuses %j", async (words, message) => {
    const { code, err } = await finished(words);
    expect({ code, err }).toEqual({
      code: 125,
      err: `ERROR: ${message}\nRun 'ashlar shell --help' for more information.\n`,
    });
  });
});

describe("--on-error=shell", () => {
  it.each([
    [["."], "--on-error=shell needs a terminal on standard input and standard error"],
    [["--check", "."], "--on-error=shell and --call cannot be used together: nothing is run"],
    [["--progress=rawjson", "."], "--on-error=shell and --progress=rawjson cannot be used together"],
    [["-"], "--on-error=shell reads standard input, from which the context or the Dockerfile is to come"],
    [["-f", "-", "."], "--on-error=shell reads standard input, from which the context or the Dockerfile is to come"],
  ])("is refused with %j", async (words, message) => {
    const { code, err } = await finished(["build", "--on-error=shell", ...words]);
    expect({ code, err: err.split("\n")[0] }).toEqual({ code: 125, err: `ERROR: ${message}` });
  });
});
