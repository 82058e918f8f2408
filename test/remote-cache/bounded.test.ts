import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type AbortOptions, digestOf } from "../../src/base/index.js";
import type { Provider } from "../../src/oci/index.js";
import { retrying, TransientError } from "../../src/registry/index.js";
import { bounded, type CacheSource } from "../../src/remote-cache/index.js";

/** Says nothing until it is told to stop. */
const silence = (signal: AbortSignal | undefined) =>
  delay(60_000, undefined, signal ? { signal } : {}) as Promise<never>;
const provider: Provider = { async *read() {} };

function source(open: CacheSource["open"]): CacheSource {
  return { name: "place", open };
}

test("a cache that does not answer is given up", async () => {
  const silent = bounded(
    source(({ signal }) => silence(signal)),
    10,
  );
  await expect(silent.open({})).rejects.toMatchObject({ code: "unavailable", message: "no answer within 0.01 s" });
  const index = { mounts: [], find: (_: unknown, { signal }: AbortOptions) => silence(signal) };
  const has = (_: unknown, { signal }: AbortOptions) => silence(signal);
  const [opened] = await bounded(
    source(async () => [{ index, origin: "place", provider, has }]),
    10,
  ).open({});
  await expect(opened?.index.find(digestOf("key"), {})).rejects.toMatchObject({ code: "unavailable" });
  const layer = { mediaType: "", digest: digestOf("layer"), size: 1 };
  await expect(opened?.has?.(layer, {})).rejects.toMatchObject({ code: "unavailable" });
});

test("of a cache that fails time and again is told how, when it is given up", async () => {
  const failing = source((options) =>
    retrying(() => Promise.reject(new TransientError("GET /v2/: 500")), [60_000], options),
  );
  await expect(bounded(failing, 10).open({})).rejects.toMatchObject({
    code: "unavailable",
    message: "no answer within 0.01 s; the last try: GET /v2/: 500",
  });
});

test("whoever stops the build hears that, and what goes wrong is told as it is", async () => {
  const stopping = AbortSignal.abort(new Error("stopped"));
  const silent = bounded(source(({ signal }) => silence(signal)));
  await expect(silent.open({ signal: stopping })).rejects.toMatchObject({ name: "AbortError" });
  const broken = bounded(source(() => Promise.reject(new Error("broken"))));
  await expect(broken.open({})).rejects.toThrow("broken");
});
