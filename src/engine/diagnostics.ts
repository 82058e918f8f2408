import type { Diagnostic } from "../frontend/index.js";
import type { BuildDiagnostic } from "./result.js";

/** A mistake or a warning of the frontend's as the engine's callers see it. */
export function diagnosticOf({ location, ...rest }: Diagnostic): BuildDiagnostic {
  return { ...rest, ...location };
}
