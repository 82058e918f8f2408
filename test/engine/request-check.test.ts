import { describe, expect, it } from "vitest";
import type { UsageEntry } from "../../src/cache/index.js";
import type { PruneRequest } from "../../src/engine/prune.js";
import { checkPrune } from "../../src/engine/prune-check.js";
import type { BuildRequest } from "../../src/engine/request.js";
import { checkRequest } from "../../src/engine/request-check.js";

const check = (request: unknown) => () => checkRequest(request as BuildRequest);

describe("a request from a caller without types", () => {
  it.each([
    [undefined, "a build needs a request"],
    [{}, "a build needs a context"],
    [{ context: { stdin: "x" } }, "a build needs a context"],
    [{ context: { stdin: 1 } }, "a build needs a context"],
    [{ context: ".", tags: "x" }, "the option tags of a build must be a list of strings"],
    [{ context: ".", tagz: ["x"] }, 'a build has no option "tagz"'],
    [
      { context: ".", outputs: [{ type: "zip" }] },
      "the option outputs of a build must be a list of objects with a type",
    ],
    [{ context: ".", labels: ["a"] }, "the option labels of a build must be an object of strings"],
    [{ context: ".", noCache: "all" }, "the option noCache of a build must be"],
    [{ context: ".", signal: {} }, "the option signal of a build must be an AbortSignal"],
    [{ context: ".", constructor: 1 }, 'a build has no option "constructor"'],
  ])("%j", (request, words) => {
    expect(check(request)).toThrow(words);
  });

  it("is taken where everything fits, and where options are undefined", () => {
    const { signal } = new AbortController();
    const request = {
      context: ".",
      tags: ["a"],
      target: undefined,
      noCache: ["a"],
      outputs: [{ type: "image" }],
      signal,
    };
    expect(check({ ...request, onProgress: () => {}, buildArgs: { A: "1" } })).not.toThrow();
  });
});

describe("a prune from a caller without types", () => {
  it.each([
    [{ filter: [] }, 'prune has no option "filter"'],
    [
      { filters: "type==regular" },
      "the option filters of prune must be a list of functions, or of conditions as texts",
    ],
    [{ filters: [7] }, "the option filters of prune must be"],
    [{ filters: ["kind==x"] }, "invalid filter: kind is no field"],
    [{ maxUsedBytes: "10gb" }, "the option maxUsedBytes of prune must be a number of bytes, or { percent }"],
    [{ minFreeBytes: { share: 1 } }, "the option minFreeBytes of prune must be"],
    [{ all: "yes" }, "the option all of prune must be a boolean"],
  ])("%j", (request, words) => {
    expect(() => checkPrune(request as PruneRequest)).toThrow(words);
  });

  it("may say its conditions as functions or as texts", () => {
    const entry = { description: "RUN make" } as UsageEntry;
    const filters = checkPrune({
      filters: ["description~=make", () => false],
      maxUsedBytes: { percent: 5 },
      dryRun: true,
    });
    expect(filters.map((holds) => holds(entry))).toEqual([true, false]);
  });
});
