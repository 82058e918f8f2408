import type { FrontendRequest } from "../frontend/index.js";
import { formatPlatform, hostPlatform, type Platform, parsePlatform } from "../oci/index.js";
import type { BuildInputs } from "./inputs.js";
import type { BuildRequest } from "./request.js";

/** The platforms a request names; `local` is this machine's. */
function platformsOf(request: BuildRequest): readonly Platform[] {
  const host = hostPlatform(process.arch);
  const platforms = (request.platforms ?? []).map((text) => parsePlatform(text, host));
  return [...new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()];
}

/** What of a build the frontend needs. Throws `invalid` for a malformed platform. */
export function frontendRequest(request: BuildRequest, inputs: BuildInputs): FrontendRequest {
  return {
    dockerfile: inputs.dockerfile,
    dockerignore: inputs.dockerignore,
    target: request.target,
    buildArgs: new Map(Object.entries(request.buildArgs ?? {})),
    labels: new Map(Object.entries(request.labels ?? {})),
    mainContext: inputs.mainContext,
    contexts: inputs.contexts,
    platforms: platformsOf(request),
    buildPlatform: hostPlatform(process.arch),
    noCache: request.noCache ?? false,
    network: request.network ?? "default",
    extraHosts: request.extraHosts ?? [],
    ulimits: request.ulimits ?? [],
    shmSizeBytes: request.shmSizeBytes,
    cgroupParent: request.cgroupParent,
  };
}
