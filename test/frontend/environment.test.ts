import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEnvEntries } from "../../src/frontend/dockerfile/env-entries.js";
import { createEnvironment } from "../../src/frontend/dockerfile/environment.js";

const key = fc.constantFrom("A", "B", "C", "D");
const value = fc.constantFrom("1", "2", "");
const setting = fc.record({ kind: fc.constantFrom("env" as const, "arg" as const), key, value });

describe("the variables of stages upon each other", () => {
  it("begin with the ENV of the stage below, in the order in which each was first set", () => {
    const stages = fc.array(fc.array(setting, { maxLength: 5 }), { maxLength: 5 });
    const image = fc.array(fc.tuple(key, value), { maxLength: 3 });
    fc.assert(
      fc.property(image, stages, (inherited, steps) => {
        const config = createEnvEntries(inherited.map((pair) => pair.join("=")));
        const environment = createEnvironment();
        const model = new Map<string, string>();
        const set = (name: string, text: string) => {
          model.delete(name);
          model.set(name, text);
        };
        for (const stage of steps) {
          environment.begin(config.list);
          for (const entry of config.list) set(...(entry.split("=") as [string, string]));
          for (const { kind, key: name, value: text } of stage) {
            environment.set(kind, name, text);
            set(name, text);
            if (kind === "env") config.set(name, text);
          }
          expect(environment.entries).toEqual([...model].map((pair) => pair.join("=")));
        }
      }),
      { numRuns: 1000 },
    );
  });
});
