import type { AbortOptions } from "../../base/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import type {
  Diagnostic,
  Frontend,
  FrontendBridge,
  FrontendImage,
  FrontendRequest,
  FrontendResult,
} from "../frontend.js";
import { isMultiPlatform, refuseRemovedArguments } from "./builtin-args.js";
import { convertDockerfile } from "./convert.js";
import { createFacts, type FactsDraft } from "./facts.js";
import { foreseeing, withForeseen } from "./foreseen.js";
import { refuseTooLong } from "./length.js";
import { lintBuild } from "./lint-build.js";
import { type ParsedDockerfile, parseDockerfile } from "./parser.js";
import { refuseOtherSyntax } from "./syntax.js";
import { unknownStages } from "./unknown-stages.js";
import { misspeltArguments } from "./unused-args.js";

/** The frontend that is built in: it reads Dockerfiles. Its `solve` throws a DiagnosticError for what the text gets wrong. */
export function createDockerfileFrontend(): Frontend {
  return { solve };
}

/** The Dockerfile of REQUEST, if it is one without syntax errors. Throws a DiagnosticError with all there are. */
export function readDockerfile(request: FrontendRequest): ParsedDockerfile {
  refuseTooLong(request);
  const parsed = parseDockerfile(request.dockerfile.text, request.dockerfile.name);
  // What is written in another language has nothing but errors in this one.
  refuseOtherSyntax(request);
  const [first, ...others] = parsed.diagnostics;
  if (first !== undefined) {
    throw new DiagnosticError(withForeseen([first, ...others], parsed.dockerfile, request.dockerfile.name));
  }
  return parsed;
}

/** The image of the first platform, and what was found out on the way; warnings of the checks go to BRIDGE. Throws a DiagnosticError. */
export async function convertFirst(
  request: FrontendRequest,
  parsed: ParsedDockerfile,
  bridge: FrontendBridge,
  options: AbortOptions,
): Promise<{ readonly image: FrontendImage; readonly facts: FactsDraft }> {
  const facts = createFacts();
  const { dockerfile } = parsed;
  const [platform] = request.platforms;
  let findings: readonly Diagnostic[] = [];
  let image: FrontendImage;
  try {
    image = await convertDockerfile({ request, dockerfile, bridge, platform, allStages: false, facts }, options);
  } catch (error) {
    throw foreseeing(error, dockerfile, request.dockerfile.name);
  } finally {
    // What the checks found before an error is worth knowing beside it.
    findings = lintBuild(request, parsed, facts);
    for (const finding of findings) if (finding.severity === "warning") bridge.warn(finding);
    const ignored = [...misspeltArguments(request, dockerfile, facts), ...unknownStages(request, dockerfile)];
    for (const warning of ignored) bridge.warn(warning);
  }
  const [violation, ...rest] = findings.filter((finding) => finding.severity === "error");
  if (violation !== undefined) throw new DiagnosticError([violation, ...rest]);
  return { image, facts };
}

async function solve(
  request: FrontendRequest,
  bridge: FrontendBridge,
  options: AbortOptions = {},
): Promise<FrontendResult> {
  const multiPlatform = isMultiPlatform(request);
  refuseRemovedArguments(request);
  const parsed = readDockerfile(request);
  const { dockerfile } = parsed;
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const further = Promise.allSettled(
    request.platforms.slice(1).map((platform) => {
      const facts = createFacts();
      return convertDockerfile({ request, dockerfile, bridge, platform, allStages: false, facts }, { signal });
    }),
  );
  try {
    const { image } = await convertFirst(request, parsed, bridge, options);
    const images = (await further).map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
    return { images: [image, ...images], multiPlatform };
  } catch (error) {
    failed.abort();
    await further;
    throw error;
  }
}
