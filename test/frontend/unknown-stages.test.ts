import { expect, it } from "vitest";
import { convert, fakeBridge } from "./convert-fixture.js";

const TEXT = "FROM scratch AS Build\nCOPY a /\nFROM scratch AS other\nFROM scratch";

it.each<readonly [readonly string[] | boolean, readonly string[]]>([
  [["zzz"], ["no stage is named zzz, which --no-cache-filter names"]],
  [["BUILD", "biuld"], ["no stage is named biuld, which --no-cache-filter names (did you mean build?)"]],
  [["build", "other", ""], []],
  [true, []],
])("stages that are not to be cached and that there are not are told: %j", async (noCache, expected) => {
  const bridge = fakeBridge();
  await convert(TEXT, { noCache }, bridge);
  expect(bridge.warnings.filter(({ rule }) => rule === undefined).map(({ message }) => message)).toEqual(expected);
});
