import { EngineError, messageOf } from "../../base/index.js";
import {
  familiarReference,
  formatPlatform,
  normalizePlatform,
  type Platform,
  parseReference,
} from "../../oci/index.js";
import type { NamedContext } from "../frontend.js";

/** Finds the named context (--build-context) that stands for the name of a stage or an image. */
export interface ContextNames {
  /** The context for NAME, one for PLATFORM (`name::os/arch`) going first. Throws `invalid` where NAME is no image name. */
  find(name: string, platform: Platform): FoundContext | undefined;
}

export interface FoundContext {
  /** As given, for messages. */
  readonly name: string;
  readonly context: NamedContext;
}

/** The name of the main context. */
export const MAIN_CONTEXT = "context";
const PLATFORM_SEPARATOR = "::";

export function createContextNames(contexts: ReadonlyMap<string, NamedContext>): ContextNames {
  const byName = new Map([...contexts].map(([name, context]) => [normalized(name), { name, context }]));
  return {
    find(name, platform) {
      if (isReserved(name)) return undefined;
      const plain = shortName(name);
      if (byName.size === 0) return undefined;
      const suffix = PLATFORM_SEPARATOR + formatPlatform(normalizePlatform(platform));
      return byName.get(plain + suffix) ?? byName.get(plain);
    },
  };
}

function isReserved(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === "scratch" || lower === MAIN_CONTEXT;
}

/** The name as people write it, `:latest` left out. */
function shortName(name: string): string {
  try {
    return familiarReference(parseReference(name)).replace(/:latest$/, "");
  } catch (error) {
    throw new EngineError("invalid", `invalid context name ${name}: ${messageOf(error)}`, { cause: error });
  }
}

function normalized(key: string): string {
  const at = key.indexOf(PLATFORM_SEPARATOR);
  const suffix = at < 0 ? "" : key.slice(at);
  return shortName(at < 0 ? key : key.slice(0, at)) + suffix;
}
