import { type AbortOptions, EngineError } from "../../base/index.js";
import type { Attendants } from "../../snapshot/index.js";
import type { RuntimeSpec } from "../runtime-spec.js";
import { type Supervision, supervisedSeccomp } from "./calls.js";
import type { SupervisedStep } from "./main.js";

/**
 * A supervisor that waits for the runtime of STEP to hand it the step's filter. Its disposal ends it, and throws what it failed with: the
 * step's calls have then failed too.
 */
export async function superviseStep(
  attendants: Attendants,
  step: SupervisedStep,
  { signal }: AbortOptions,
): Promise<AsyncDisposable> {
  const stopping = new AbortController();
  let ready: () => void = () => undefined;
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const attended = attendants.attend(step, {
    onReady: ready,
    signal: signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal,
  });
  await Promise.race([isReady, attended]);
  attended.catch(() => undefined); // heard below
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort(new EngineError("canceled", "the step is over"));
      await attended.catch((error) => {
        if (!(error instanceof EngineError) || error.code !== "canceled") throw error;
      });
    },
  };
}

/** SPEC for a runtime in a namespace with one id: no file can be given to another, and calls about owners go to the supervisor. */
export function oneIdSpec(spec: RuntimeSpec, supervision: Supervision): RuntimeSpec {
  return {
    ...spec,
    mounts: spec.mounts.map((mount) => ({
      ...mount,
      options: mount.options.filter((option) => !/^[ug]id=/.test(option)),
    })),
    linux: { ...spec.linux, seccomp: supervisedSeccomp(spec.linux.seccomp, supervision) },
  };
}
