import { EngineError } from "../base/index.js";

/** The process of a RUN ended otherwise than it should. */
export class StepFailure extends EngineError {
  /** Undefined where a signal ended it. */
  readonly exitCode: number | undefined;

  constructor(message: string, exitCode: number | undefined, options?: { readonly hint?: string }) {
    super("failed", message, options);
    this.exitCode = exitCode;
  }
}
