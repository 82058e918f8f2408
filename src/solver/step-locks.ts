import type { AbortOptions } from "../base/index.js";
import type { CacheKey } from "./cache-manager.js";

/** Keeps what runs under a key from running twice at once in the processes that share a cache. A process that ends gives back its locks. */
export interface StepLocks {
  /**
   * Takes KEY's lock, to be disposed of. This process doesn't ask for one that it has. Waits without blocking while another one has it,
   * which `onWait` is told, with who that is where it can be seen: once, and again when that is another, or is stopped or goes on. Throws
   * `canceled`.
   */
  take(key: CacheKey, options: AbortOptions & { readonly onWait: (holder?: string) => void }): Promise<Disposable>;
}
