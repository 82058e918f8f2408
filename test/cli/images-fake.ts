import type { ImageDetails, LocalImages, StoredImage } from "../../src/engine/image-requests.js";

/** What a local store that is none answers. */
export interface ImageFake {
  readonly list?: readonly StoredImage[];
  readonly details?: ImageDetails;
  readonly answers?: Partial<LocalImages>;
}

/** A local store that writes down what it was asked. */
export function fakeImages({ list = [], details, answers = {} }: ImageFake, calls: unknown[]): LocalImages {
  const told = async <T>(call: string, asked: unknown, answer: T): Promise<T> => {
    calls.push({ [call]: asked });
    return answer;
  };
  return {
    list: (query) => told("list", query, list),
    inspect: async (image) => {
      calls.push({ inspect: image });
      if (!details) throw new Error(`No such image: ${image}`);
      return details;
    },
    tag: (image, name) => told("tag", [image, name], undefined),
    remove: (image, options) => told("remove", [image, options], { untagged: [], deleted: [] }),
    prune: (request) => told("prune", request, { untagged: [], deleted: [], freedBytes: 1_500_000 }),
    save: (request) => told("save", request, 1),
    load: (request) => told("load", request, [{ name: "docker.io/library/app:latest", imageId: "sha256:loaded" }]),
    import: (request) => told("import", request, "sha256:imported"),
    pull: ({ name }) => told("pull", name, { name, imageId: "sha256:i", digest: "sha256:d", wasHere: false }),
    tagsOf: (name) => told("tagsOf", name, [`${name}:1`, `${name}:2`]),
    push: ({ name }) => told("push", name, [{ name, digest: "sha256:d", sizeBytes: 3 }]),
    ...answers,
  };
}
