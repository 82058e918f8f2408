import type { AbortOptions, Digest } from "../base/index.js";
import type { Descriptor, Provider } from "../oci/index.js";
import type { ContentStore } from "./content-store.js";

/** Where the documents of an image are put while it is written. It gives them and all else that the store holds. */
export interface Documents extends Provider {
  /** Errors: those of the store. */
  put(target: Descriptor, bytes: Uint8Array, options?: AbortOptions): Promise<void>;
}

/** Documents that go into STORE, for an image that is to stay. */
export function storedDocumentsIn(store: ContentStore): Documents {
  return {
    read: (target, options) => store.read(target, options),
    async put(target, bytes, options) {
      await store.ensure(target, { read: () => once(bytes) }, options);
    },
  };
}

/** Documents of an image that goes elsewhere: they are kept in memory, so that nothing of them is left in STORE. */
export function passingDocuments(store: Provider): Documents {
  const known = new Map<Digest, Uint8Array>();
  return {
    read(target, options) {
      const bytes = known.get(target.digest);
      return bytes ? once(bytes.subarray(options?.offset ?? 0)) : store.read(target, options);
    },
    async put(target, bytes) {
      known.set(target.digest, bytes);
    },
  };
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}
