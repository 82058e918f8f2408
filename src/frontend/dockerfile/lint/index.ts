import type { Diagnostic } from "../../frontend.js";
import type { ParsedDockerfile } from "../parser.js";
import type { LintFacts } from "./facts.js";

export type { LintFacts, StageFacts } from "./facts.js";

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
 * Runs the build checks: warnings in the order of the file, then, where `error=true` asks for it and there are any, the error
 * `lint violation found for rules: …`. Check options that can't be read are an error of their own. Never throws.
 */
export declare function lintDockerfile(request: LintRequest): readonly Diagnostic[];

/** The report of `--call=check,format=json`: `text`, and the exit code, 1 where there are warnings or an error. */
export declare function checkReport(report: {
  readonly name: string;
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}): { readonly json: string; readonly exitCode: 0 | 1 };
