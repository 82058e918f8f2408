import { failureText } from "./ending.js";
import type { Renderer, RendererOptions, Summary, TextOutput } from "./renderer.js";

/** Shows nothing but why a build failed. */
export function createQuietRenderer(out: TextOutput, options: RendererOptions): Renderer {
  return {
    emit: () => undefined,
    finish: (summary: Summary) => {
      if (summary.kind === "failed") out.write(failureText(summary, options));
      else if (summary.kind === "canceled") out.write(`ERROR: ${summary.message}\n`);
    },
  };
}
