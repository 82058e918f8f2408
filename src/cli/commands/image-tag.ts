import { parseEngine } from "../build-request.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf, type EngineFlags } from "./engine-flags.js";

/** `ashlar tag IMAGE NAME`: gives an image one more name. */
export async function tagCommand(
  flags: EngineFlags,
  [image, name]: readonly [image: string, name: string],
  surroundings: Surroundings,
): Promise<number> {
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  await engine.images.tag(image, name);
  return 0;
}
