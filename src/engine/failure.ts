import { EngineError, errorCode, messageOf } from "../base/index.js";
import { DiagnosticError } from "../frontend/index.js";
import type { SourceRange } from "../llb/index.js";
import { StepFailure } from "../ops/index.js";
import { DamagedDatabase, LockedDatabase } from "../store/index.js";
import { diagnosticOf } from "./diagnostics.js";
import type { BuildInputs } from "./inputs.js";
import { type BuildDiagnostic, BuildFailure, type FailedStep } from "./result.js";

/** An error with its place in the Dockerfile, where it has one. */
export function located(error: unknown, { dockerfile }: BuildInputs): unknown {
  if (!(error instanceof DiagnosticError)) return error;
  const diagnostics = error.diagnostics.map(diagnosticOf);
  const first = diagnostics.find(({ file }) => file === dockerfile.name);
  if (first?.startLine === undefined) return error;
  const { startLine, endLine = startLine, culprit } = first;
  const source = { file: dockerfile.name, text: dockerfile.text, startLine, endLine, ...(culprit ? { culprit } : {}) };
  return new BuildFailure(errorCode(error), messageOf(error), { source, diagnostics }, optionsOf(error));
}

/** Whether an error that ended a step is none of its own: no line of the Dockerfile has to do with it. */
export function isOfEngine(error: unknown): boolean {
  return errorCode(error) === "canceled" || error instanceof LockedDatabase || error instanceof DamagedDatabase;
}

/** An error of the step that is shown as NAME and stands at a place of the Dockerfile. */
export function failureAt(
  error: unknown,
  { dockerfile }: BuildInputs,
  { name, location }: { readonly name: string; readonly location: SourceRange },
): BuildFailure {
  const { startLine, endLine } = location;
  const message = messageOf(error);
  const source = { file: dockerfile.name, text: dockerfile.text, startLine, endLine };
  const exitCode = error instanceof StepFailure ? error.exitCode : undefined;
  const step: FailedStep = { name, ...(exitCode === undefined ? {} : { exitCode }) };
  const options = optionsOf(error);
  const hint = options.hint === undefined ? {} : { hint: options.hint };
  const diagnostic: BuildDiagnostic = { severity: "error", message, ...hint, ...location };
  return new BuildFailure(errorCode(error), message, { source, diagnostics: [diagnostic], step }, options);
}

function optionsOf(error: unknown): ErrorOptions & { readonly hint?: string } {
  const hint = error instanceof EngineError ? error.hint : undefined;
  return { cause: error, ...(hint === undefined ? {} : { hint }) };
}
