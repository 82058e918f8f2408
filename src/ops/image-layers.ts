import { EngineError, errorCode, messageOf } from "../base/index.js";
import { familiarReference, parseReference } from "../oci/index.js";
import type { ImageLayer, LayerStore, Tree } from "../snapshot/index.js";

/** The tree of the LAYERS of the image IDENTIFIER, leased to BUILD. Throws `data-loss`, with its name, where it has lost one. */
export async function adoptImage(
  { layers: store }: { readonly layers: LayerStore },
  identifier: string,
  { layers, build }: { readonly layers: readonly ImageLayer[]; readonly build: string },
): Promise<Tree> {
  try {
    return await store.adopt(layers, build);
  } catch (error) {
    if (errorCode(error) !== "data-loss") throw error;
    const name = shownName(identifier);
    throw new EngineError("data-loss", `the image ${name} is damaged: ${messageOf(error)}`, {
      cause: error,
      hint: `build or pull ${name} again`,
    });
  }
}

function shownName(identifier: string): string {
  const [, scheme, place = identifier] = /^([a-z-]+):\/\/(.*)$/.exec(identifier) ?? [];
  if (scheme !== "docker-image") return place;
  const { digest: _, ...reference } = parseReference(place);
  return familiarReference(reference);
}
