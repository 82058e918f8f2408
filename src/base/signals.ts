import { setMaxListeners } from "node:events";

/** SIGNAL, which any number of pieces of work may listen to at once: Node takes more than ten of them for a leak, and says so. */
export function heardByMany(signal: AbortSignal): AbortSignal {
  setMaxListeners(0, signal);
  return signal;
}
