import { type AbortOptions, EngineError } from "../../base/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import type { Diagnostic, FrontendBridge, FrontendRequest } from "../frontend.js";
import { convertDockerfile } from "./convert.js";
import { createFacts } from "./facts.js";
import { foreseeing, withForeseen } from "./foreseen.js";
import { refuseTooLong } from "./length.js";
import { lintBuild } from "./lint-build.js";
import { type ParsedDockerfile, parseDockerfile } from "./parser.js";
import { refuseOtherSyntax } from "./syntax.js";
import { misspeltArguments } from "./unused-args.js";

/** What `--check` says of a Dockerfile. */
export interface CheckResult {
  /** Warnings in the order in which a build comes upon them, then what would stop it. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Runs the build checks over the stages that the target needs, or all where there is none. What would stop a build is part of the
 * result. Throws only for what is no mistake in the text: aborts and failures of the bridge that are not about an image.
 */
export async function checkDockerfile(
  request: FrontendRequest,
  bridge: FrontendBridge,
  options: AbortOptions = {},
): Promise<CheckResult> {
  const { name, text } = request.dockerfile;
  try {
    refuseTooLong(request);
    refuseOtherSyntax(request);
  } catch (error) {
    return { diagnostics: diagnosticsOf(error) };
  }
  const parsed = parseDockerfile(text, name);
  const [first, ...others] = parsed.diagnostics;
  if (first !== undefined) {
    return {
      diagnostics: [
        ...lintBuild(request, parsed, undefined),
        ...withForeseen([first, ...others], parsed.dockerfile, name),
      ],
    };
  }
  return { diagnostics: await checkStages(request, bridge, parsed, options) };
}

/** The findings of the checks, and the mistake that ended the conversion, if one did. */
async function checkStages(
  request: FrontendRequest,
  bridge: FrontendBridge,
  parsed: ParsedDockerfile,
  options: AbortOptions,
): Promise<readonly Diagnostic[]> {
  const facts = createFacts();
  const [platform] = request.platforms;
  const allStages = !request.target;
  try {
    await convertDockerfile({ request, dockerfile: parsed.dockerfile, bridge, platform, allStages, facts }, options);
    return lintBuild(request, parsed, facts);
  } catch (error) {
    const failures = diagnosticsOf(foreseeing(error, parsed.dockerfile, request.dockerfile.name));
    // What ended the conversion is the error; that a check would have refused the file too is no second one.
    return [...lintBuild(request, parsed, facts).filter(({ severity }) => severity === "warning"), ...failures];
  } finally {
    // No rule has a name for these; they are told beside the answer, as a build tells them.
    for (const warning of misspeltArguments(request, parsed.dockerfile, facts)) bridge.warn(warning);
  }
}

/** ERROR as part of a result; thrown again where it is no failure of the build. */
function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (!(error instanceof EngineError) || error.code === "canceled") throw error;
  if (error instanceof DiagnosticError) return error.diagnostics;
  return [{ severity: "error", message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) }];
}
