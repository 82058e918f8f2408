import type { Bytes, Descriptor, Provider, ReadOptions } from "../oci/index.js";
import type { ContentStore } from "./content-store.js";

/** What NEAR holds, and what it lacks from FAR, by way of NEAR: each blob is fetched once, whole, and verified before it is read. */
export function tiered(near: ContentStore, far: Provider): Provider {
  return {
    async *read(target: Descriptor, options: ReadOptions = {}): Bytes {
      await near.ensure(target, far, options);
      yield* near.read(target, options);
    },
  };
}

/** What STORE holds, for whoever only looks: what is damaged stays. */
export function onlyLooking(store: Pick<ContentStore, "peek">): Provider {
  return { read: (target, options) => store.peek(target, options) };
}
