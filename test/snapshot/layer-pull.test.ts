import { beforeEach, expect, it } from "vitest";
import { EngineError } from "../../src/base/index.js";
import { Workshop } from "../exporters/workshop.js";

let workshop: Workshop;
beforeEach(async () => {
  workshop = await Workshop.open();
  return () => workshop[Symbol.asyncDispose]();
});

it("a pull that is stopped begins with no more of its layers, and can be begun again", async () => {
  const remote = workshop.remoteLayer("touch f");
  const tree = await workshop.layers.adopt(
    Array.from({ length: 40 }, () => remote),
    "build",
  );
  const stop = new AbortController();
  const pulling = workshop.layers.ensure(tree, {
    signal: stop.signal,
    onPull: () => stop.abort(new EngineError("canceled", "stopped")),
  });
  await expect(pulling).rejects.toMatchObject({ code: "canceled" });
  expect(workshop.fetched.length).toBeLessThan(tree.length);

  await workshop.layers.ensure(tree);
  expect(tree.map((layer) => workshop.layers.info(layer).state)).toEqual(tree.map(() => "ready"));
});
