import { type AbortOptions, EngineError, type PatternMatcher } from "../../base/index.js";
import { type Platform, parseReference } from "../../oci/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import type {
  Diagnostic,
  Frontend,
  FrontendBridge,
  FrontendImage,
  FrontendRequest,
  FrontendResult,
} from "../frontend.js";
import { convertDockerfile, ignorePatterns, predefinedArgs } from "./convert.js";
import { createFacts, type FactsDraft } from "./facts.js";
import { lintDockerfile } from "./lint/index.js";
import { type ParsedDockerfile, parseDockerfile } from "./parser.js";
import { mistake } from "./place.js";

/** The frontend that is built in: it reads Dockerfiles. Its `solve` throws a DiagnosticError for what the text gets wrong. */
export function createDockerfileFrontend(): Frontend {
  return { solve };
}

/** What `--check` says of a Dockerfile. */
export interface CheckResult {
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Runs the build checks over the stages that the target needs, or all where there is none. What would stop a build is part of the
 * report. Throws only for what is no mistake in the text: aborts and failures of the bridge that are not about an image.
 */
export async function checkDockerfile(
  request: FrontendRequest,
  bridge: FrontendBridge,
  options: AbortOptions = {},
): Promise<CheckResult> {
  const { name, text } = request.dockerfile;
  const parsed = parseDockerfile(text, name);
  const found =
    parsed.diagnostics.length === 0 ? checkStages(request, bridge, parsed, options) : lint(request, parsed, undefined);
  return { diagnostics: [...(await found), ...parsed.diagnostics] };
}

const CHECK_ARG = "BUILDKIT_DOCKERFILE_CHECK";
const SYNTAX_ARG = "BUILDKIT_SYNTAX";

/** Images of BuildKit's own Dockerfile frontend: they mean what is built in here, and are never pulled. */
const BUILT_IN_SYNTAX = /(^|\/)docker\/dockerfile(-upstream)?$/;

async function solve(
  request: FrontendRequest,
  bridge: FrontendBridge,
  options: AbortOptions = {},
): Promise<FrontendResult> {
  const parsed = parseDockerfile(request.dockerfile.text, request.dockerfile.name);
  const [first, ...others] = parsed.diagnostics;
  if (first !== undefined) throw new DiagnosticError([first, ...others]);
  refuseOtherSyntax(request, parsed);
  const [platform, ...further] = request.platforms;
  const facts = createFacts();
  const convert = (wanted: Platform | undefined, found: FactsDraft) =>
    convertDockerfile(
      { request, dockerfile: parsed.dockerfile, bridge, platform: wanted, allStages: false, facts: found },
      options,
    );
  let findings: readonly Diagnostic[] = [];
  const images: FrontendImage[] = [];
  try {
    images.push(await convert(platform, facts));
  } finally {
    // What the checks found before an error is worth knowing beside it.
    findings = lint(request, parsed, facts);
    for (const finding of findings) if (finding.severity === "warning") bridge.warn(finding);
  }
  const [violation, ...rest] = findings.filter((finding) => finding.severity === "error");
  if (violation !== undefined) throw new DiagnosticError([violation, ...rest]);
  for (const other of further) images.push(await convert(other, createFacts()));
  return { images };
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
    return lint(request, parsed, facts);
  } catch (error) {
    if (!(error instanceof EngineError) || error.code === "canceled") throw error;
    const failures: readonly Diagnostic[] =
      error instanceof DiagnosticError ? error.diagnostics : [{ severity: "error", message: error.message }];
    // What ended the conversion is the error; that a check would have refused the file too is no second one.
    return [...lint(request, parsed, facts).filter(({ severity }) => severity === "warning"), ...failures];
  }
}

function lint(
  request: FrontendRequest,
  parsed: ParsedDockerfile,
  draft: FactsDraft | undefined,
): readonly Diagnostic[] {
  const { buildArgs, dockerfile, buildPlatform } = request;
  const check = buildArgs.get(CHECK_ARG);
  if (draft === undefined) return lintDockerfile({ name: dockerfile.name, parsed, facts: undefined, check });
  const facts = {
    buildArgs,
    platformArgs: predefinedArgs(request, parsed.dockerfile, request.platforms[0] ?? buildPlatform),
    dockerignore: matcherOf(request),
    ...draft,
  };
  return lintDockerfile({ name: dockerfile.name, parsed, facts, check });
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

/** Another language than this one is refused by name: building something else in its place would be worse. */
function refuseOtherSyntax({ dockerfile: { name }, buildArgs }: FrontendRequest, parsed: ParsedDockerfile): void {
  const { syntax } = parsed.dockerfile.directives;
  const given = buildArgs.get(SYNTAX_ARG);
  const wanted = (given ?? syntax?.text ?? "").trim().split(/\s+/)[0] ?? "";
  if (wanted === "" || wanted === "dockerfile.v0" || isBuiltIn(wanted)) return;
  const message = `the syntax ${JSON.stringify(wanted)} is not supported, only Dockerfiles are`;
  const hint = "Remove the syntax directive, or name docker/dockerfile:1.";
  if (given !== undefined || syntax === undefined) throw new EngineError("unsupported", message, { hint });
  const [diagnostic] = mistake(message, { file: name, range: syntax.range }).diagnostics;
  throw new DiagnosticError([diagnostic ?? { severity: "error", message }], { code: "unsupported", hint });
}

function isBuiltIn(image: string): boolean {
  try {
    return BUILT_IN_SYNTAX.test(parseReference(image).repository);
  } catch {
    return false;
  }
}
