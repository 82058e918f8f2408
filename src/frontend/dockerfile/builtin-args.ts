import { EngineError } from "../../base/index.js";
import type { FrontendRequest } from "../frontend.js";

const MULTI_PLATFORM_ARG = "BUILDKIT_MULTI_PLATFORM";
const NO_FILE_OPS_ARG = "BUILDKIT_DISABLE_FILEOP";

/** Whether the result is one for several platforms: where they are asked for, or BUILDKIT_MULTI_PLATFORM says so. Throws `invalid`. */
export function isMultiPlatform({ buildArgs, platforms }: FrontendRequest): boolean {
  const several = platforms.length > 1;
  const given = buildArgs.get(MULTI_PLATFORM_ARG);
  if (!given) return several;
  const wanted = goBoolean(given);
  if (wanted === undefined) {
    throw new EngineError("invalid", `invalid boolean value for multi-platform: ${given}`);
  }
  if (!wanted && several) {
    throw new EngineError("invalid", "conflicting config: returning multiple target platforms is not allowed");
  }
  return wanted;
}

/** What BuildKit no longer does is not done in silence. Throws `unsupported`. */
export function refuseRemovedArguments({ buildArgs }: FrontendRequest): void {
  if (goBoolean(buildArgs.get(NO_FILE_OPS_ARG) ?? "")) {
    throw new EngineError("unsupported", `support for "${NO_FILE_OPS_ARG}" build-arg was removed in BuildKit 0.11`);
  }
}

/** A boolean as Go's strconv.ParseBool reads it. */
function goBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}
