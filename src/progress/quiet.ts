import { failedSteps, failureText } from "./ending.js";
import type { Renderer, RendererOptions, Summary, TextOutput } from "./renderer.js";
import { createTrace } from "./trace.js";

/** Shows nothing but why a build failed: the last output of the steps that did, and the error. */
export function createQuietRenderer(out: TextOutput, options: RendererOptions): Renderer {
  const trace = createTrace();
  return {
    emit: (event) => void trace.apply(event),
    finish: (summary: Summary) => {
      if (summary.kind === "failed") out.write(failedSteps(trace) + failureText(summary, options));
      else if (summary.kind === "canceled") out.write(`ERROR: ${summary.message}\n`);
    },
  };
}
