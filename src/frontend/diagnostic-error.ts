import { EngineError, type ErrorCode } from "../base/index.js";
import type { Diagnostic } from "./frontend.js";

/** A failure that has a place in a source file: the first of `diagnostics` gives the message, all of them say where. */
export class DiagnosticError extends EngineError {
  readonly diagnostics: readonly Diagnostic[];

  constructor(
    diagnostics: readonly [Diagnostic, ...Diagnostic[]],
    options: ErrorOptions & { readonly code?: ErrorCode; readonly hint?: string | undefined } = {},
  ) {
    const { code = "invalid", hint = diagnostics[0].hint, cause } = options;
    super(code, diagnostics[0].message, {
      ...(hint === undefined ? {} : { hint }),
      ...(cause === undefined ? {} : { cause }),
    });
    this.diagnostics = diagnostics;
  }
}
