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
import { RULES } from "./registry.js";
import type { ConvertedStage, Finding, LintContext, Rule } from "./rule.js";

export type { LintFacts, StageFacts } from "./facts.js";
export { checkReport } from "./report.js";

/** A Dockerfile to check, and what is known of its build. */
export interface LintRequest {
  readonly name: string;
  readonly parsed: ParsedDockerfile;
  /** Undefined where the file was only parsed. */
  readonly facts: LintFacts | undefined;
  /** BUILDKIT_DOCKERFILE_CHECK, which takes the place of the file's own `check` directive. */
  readonly check: string | undefined;
}

/**
 * Runs the build checks: warnings in the order of the file, then, where `error=true` asks for it and there are any in a
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
  const warnings = RULES.filter((rule) => canRun(rule, request)).flatMap((rule) =>
    Array.from(rule.check(context))
      .filter((found) => isWanted(rule, options, found))
      .map((found) => warning(rule, found, request.name)),
  );
  warnings.sort((a, b) => (a.location?.startLine ?? 0) - (b.location?.startLine ?? 0));
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

function createContext({ parsed, facts }: LintRequest): LintContext {
  const { dockerfile: file, diagnostics } = parsed;
  const end = Math.min(...diagnostics.map((error) => error.location?.startLine ?? 1), Number.MAX_SAFE_INTEGER);
  return {
    file,
    facts,
    instructions: file.instructions.filter((instruction) => instruction.range.start.line < end),
    emptyContinuations: file.emptyContinuations.filter((line) => line < end),
    stages: facts ? convertedStages(parsed, facts) : [],
  };
}

function convertedStages({ dockerfile }: ParsedDockerfile, facts: LintFacts): readonly ConvertedStage[] {
  return dockerfile.stages.flatMap((node) => {
    const known = facts.stages.get(node.index);
    return known ? [{ node, facts: known, instructions: node.instructions.slice(0, known.converted) }] : [];
  });
}

function canRun(rule: Rule, { parsed, facts }: LintRequest): boolean {
  if (rule.needs === "text") return true;
  return parsed.diagnostics.length === 0 && (rule.needs === "file" || facts !== undefined);
}

function isWanted(rule: Rule, options: CheckOptions, found: Finding): boolean {
  const { skip, experimental } = found.subject ? withComments(options, found.subject.comments) : options;
  return rule.isExperimental ? includes(experimental, rule.name) : !includes(skip, rule.name);
}

function warning({ name, description, url }: Rule, found: Finding, file: string): Diagnostic {
  const { message, range } = found;
  const page = url === undefined ? {} : { url };
  return { severity: "warning", rule: name, message, description, ...page, ...locate(file, range) };
}

function violation(warnings: readonly Diagnostic[]): Diagnostic {
  const names = new Set(warnings.map((found) => found.rule ?? ""));
  return { severity: "error", message: `lint violation found for rules: ${[...names].sort().join(", ")}` };
}
