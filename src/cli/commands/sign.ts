import { engineSurroundings } from "../docker-config.js";
import { signingSpec } from "../sign-flag.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";

/** The flags of `ashlar sign`. */
export interface SignFlags {
  readonly key?: string;
  readonly passphraseFile?: string;
  readonly passphraseEnv?: string;
}

/** `ashlar sign IMAGE...`: each image by its digest, once it is signed. */
export async function signCommand(
  { key, passphraseFile, passphraseEnv }: SignFlags,
  images: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const spec = signingSpec({ key, file: passphraseFile, variable: passphraseEnv }, surroundings);
  const { signImages } = await import("../../engine/index.js");
  return untilStopped(surroundings, async (signal) => {
    for (const image of images) {
      const { image: signed, outcome } = await signImages({ ...spec, image, signal }, engineSurroundings(surroundings));
      surroundings.stdout.write(`${signed}${outcome === "present" ? " (was signed by this key)" : ""}\n`);
    }
    return 0;
  });
}
