import type { StepProcess } from "../executor/index.js";
import type { VertexInfo } from "../progress/index.js";
import type { OpEnvironment } from "./environment.js";
import type { StepFailure } from "./step-failure.js";

/** A step that has failed and whose container still stands as it left it. */
export interface FailedStep {
  readonly vertex: VertexInfo;
  readonly failure: StepFailure;
  readonly process: StepProcess;
  /** Its mounted root. */
  readonly rootfs: string;
  readonly environment: OpEnvironment;
}

/**
 * Lets somebody look at the steps that fail, at one at a time. A step that fails meanwhile stands and waits; as a rule the first one's
 * failure then ends the build, and nobody looks at the others.
 */
export class Inspection {
  readonly #look: (step: FailedStep) => Promise<void>;
  #turn: Promise<void> = Promise.resolve();

  constructor(look: (step: FailedStep) => Promise<void>) {
    this.#look = look;
  }

  /** Settles when STEP may be taken away. SIGNAL says that its build is over; SETTLED is the end of the whole step. */
  async show(
    step: FailedStep,
    { signal, settled }: { readonly signal: AbortSignal; readonly settled: Promise<unknown> },
  ): Promise<void> {
    const before = this.#turn;
    this.#turn = Promise.all([before, ended(settled)]).then(() => undefined);
    await before;
    if (!signal.aborted) await this.#look(step);
  }
}

/** Settles when WORK has, and when everybody who waited for that has drawn the consequences. */
async function ended(work: Promise<unknown>): Promise<void> {
  await Promise.allSettled([work]);
  await new Promise((resolve) => setImmediate(resolve));
}
