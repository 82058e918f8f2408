import type { PatternMatcher } from "../../base/index.js";
import type { Diagnostic, FrontendRequest } from "../frontend.js";
import { ignorePatterns, predefinedArgs } from "./convert.js";
import type { FactsDraft } from "./facts.js";
import { lintDockerfile } from "./lint/index.js";
import type { ParsedDockerfile } from "./parser.js";

const CHECK_ARG = "BUILDKIT_DOCKERFILE_CHECK";

/** What the checks say of a build of which FACTS are known, undefined where the file was only parsed. Never throws. */
export function lintBuild(
  request: FrontendRequest,
  parsed: ParsedDockerfile,
  facts: FactsDraft | undefined,
): readonly Diagnostic[] {
  const { buildArgs, dockerfile, buildPlatform } = request;
  const check = buildArgs.get(CHECK_ARG);
  if (facts === undefined) return lintDockerfile({ ...dockerfile, parsed, facts, check });
  const known = {
    buildArgs,
    platformArgs: predefinedArgs(request, parsed.dockerfile, request.platforms[0] ?? buildPlatform),
    dockerignore: matcherOf(request),
    ...facts,
  };
  return lintDockerfile({ ...dockerfile, parsed, facts: known, check });
}

function matcherOf(request: FrontendRequest): PatternMatcher | undefined {
  if (request.dockerignore === undefined) return undefined;
  try {
    return ignorePatterns(request);
  } catch {
    // The conversion says what is wrong with them.
    return undefined;
  }
}
