import type { Ambient } from "../build-request.js";
import type { Surroundings } from "../surroundings.js";

/** The flags every command that opens an engine has. */
export interface EngineFlags {
  readonly root?: string;
}

/** What flags that name an engine depend on. */
export function ambientOf({ env, cwd, platform }: Surroundings): Ambient {
  return { env, cwd, proxyArgs: {}, localPlatform: platform };
}
