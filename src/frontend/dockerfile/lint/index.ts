import { lazy, unreachable } from "../../../base/index.js";
import type { Diagnostic } from "../../frontend.js";
import type { Directives } from "../ast.js";
import { locate } from "../diagnostics.js";
import type { ParsedDockerfile } from "../parser.js";
import type { LintFacts } from "./facts.js";
import {
  type CheckOptions,
  type CheckOptionsResult,
  firstWord,
  includes,
  parseCheckOptions,
  withComments,
} from "./options.js";
import { inOrder } from "./order.js";
import { RULES } from "./registry.js";
import type { ConvertedStage, Finding, LintContext, Phase, Rule } from "./rule.js";

export type { LintFacts, PlatformMismatch, StageFacts } from "./facts.js";

/** A Dockerfile to check, and what is known of its build. */
export interface LintRequest {
  readonly name: string;
  readonly parsed: ParsedDockerfile;
  /** Undefined where the file was only parsed. */
  readonly facts: LintFacts | undefined;
  /** The file as it is written. */
  readonly text: string;
  /** BUILDKIT_DOCKERFILE_CHECK, which takes the place of the file's own `check` directive. */
  readonly check: string | undefined;
}

/**
 * Runs the build checks: warnings in the order in which a build comes upon them, then, where `error=true` asks for it and there are any in a
 * file without errors, the error `lint violation found for rules: …`. Check options that can't be read are an error of
 * their own. Never throws.
 */
export function lintDockerfile(request: LintRequest): readonly Diagnostic[] {
  const { dockerfile } = request.parsed;
  const parsed = readOptions(request.check, dockerfile.directives);
  if (!parsed.ok) {
    const place = request.check === undefined ? dockerfile.directives.check?.range : undefined;
    return [{ severity: "error", message: parsed.error, ...(place ? locate(request.name, place, place) : {}) }];
  }
  const { options } = parsed;
  const context = createContext(request);
  const found = RULES.filter((rule) => canRun(rule, request)).flatMap((rule) =>
    Array.from(rule.check(context))
      .filter((finding) => isWanted(rule, options, finding))
      .map((finding) => ({ rule, finding })),
  );
  const warnings = inOrder(found, context).map(({ rule, finding }) => warning(rule, finding, request.name));
  const isViolated = options.error && warnings.length > 0 && request.parsed.diagnostics.length === 0;
  return isViolated ? [...warnings, violation(warnings)] : warnings;
}

function readOptions(check: string | undefined, directives: Directives): CheckOptionsResult {
  const isOverridden = check !== undefined;
  const parsed = parseCheckOptions(isOverridden ? check : firstWord(directives.check?.text ?? ""));
  if (parsed.ok) return parsed;
  const what = isOverridden ? "build-arg:BUILDKIT_DOCKERFILE_CHECK" : "check options";
  return { ok: false, error: `failed to parse ${what}: ${parsed.error}` };
}

function createContext({ parsed, facts, text }: LintRequest): LintContext {
  const { dockerfile: file, diagnostics } = parsed;
  const end = Math.min(...diagnostics.map((error) => error.location?.startLine ?? 1), Number.MAX_SAFE_INTEGER);
  const instructions = file.instructions.filter((instruction) => instruction.range.start.line <= end);
  return {
    file,
    lines: lazy(() => text.split("\n")),
    facts,
    instructions,
    froms: instructions.filter((instruction) => instruction.kind === "from"),
    emptyContinuations: file.emptyContinuations,
    stages: facts ? convertedStages(parsed, facts) : [],
  };
}

function convertedStages({ dockerfile }: ParsedDockerfile, facts: LintFacts): readonly ConvertedStage[] {
  return dockerfile.stages.flatMap((node) => {
    const known = facts.stages.get(node.index);
    if (!known) return [];
    const { converted, failed, expanded } = known;
    // An instruction that was understood and only then refused has been looked at.
    const last = failed && expanded.has(failed) ? [failed] : [];
    return [{ node, facts: known, instructions: [...converted, ...last] }];
  });
}

function canRun({ phase }: Rule, { parsed, facts }: LintRequest): boolean {
  if (parsed.isMalformed) return false;
  switch (phase) {
    case "read":
    case "parse":
      return true;
    case "names":
    case "casing":
    case "defaults":
      return parsed.diagnostics.length === 0;
    case "from":
    case "resolve":
    case "convert":
      return parsed.diagnostics.length === 0 && facts !== undefined;
    default:
      return unreachable(phase);
  }
}

/** Where an instruction is looked at for itself, the comments above it count. */
const HEEDS_COMMENTS: ReadonlySet<Phase> = new Set(["parse", "from", "convert"]);

function isWanted(rule: Rule, options: CheckOptions, { at }: Finding): boolean {
  const heeds = at !== undefined && HEEDS_COMMENTS.has(rule.phase);
  const { skip, experimental } = heeds ? withComments(options, at.comments) : options;
  return rule.isExperimental ? includes(experimental, rule.name) : !includes(skip, rule.name);
}

function warning({ name, description, url }: Rule, found: Finding, file: string): Diagnostic {
  const { message, range, culprit, suggestion } = found;
  const meant = suggestion === undefined ? {} : { suggestion };
  const page = url === undefined ? {} : { url };
  return { severity: "warning", rule: name, message, description, ...page, ...locate(file, range, culprit), ...meant };
}

function violation(warnings: readonly Diagnostic[]): Diagnostic {
  const names = new Set(warnings.map((found) => found.rule ?? ""));
  const message = `lint violation found for rules: ${[...names].sort().join(", ")}`;
  return {
    severity: "error",
    message,
    hint: "check=error=true makes warnings errors; check=skip=RULE leaves a rule out.",
  };
}
