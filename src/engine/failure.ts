import { EngineError, errorCode, messageOf } from "../base/index.js";
import { DiagnosticError } from "../frontend/index.js";
import type { SourceRange } from "../llb/index.js";
import type { BuildInputs } from "./inputs.js";
import { BuildFailure } from "./request.js";

/** An error with its place in the Dockerfile, where it has one. */
export function located(error: unknown, inputs: BuildInputs): unknown {
  if (!(error instanceof DiagnosticError)) return error;
  const place = error.diagnostics.find(({ location }) => location?.file === inputs.dockerfile.name)?.location;
  if (!place) return error;
  return failureAt(error, inputs, place);
}

/** An error of the step that stands at a place of the Dockerfile. */
export function failureAt(
  error: unknown,
  { dockerfile }: BuildInputs,
  { startLine, endLine }: SourceRange,
): BuildFailure {
  const source = { file: dockerfile.name, text: dockerfile.text, startLine, endLine };
  const hint = error instanceof EngineError ? error.hint : undefined;
  return new BuildFailure(errorCode(error), messageOf(error), source, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
