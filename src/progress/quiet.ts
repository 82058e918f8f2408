import { unreachable } from "../base/index.js";
import { failedSteps, failureText, warningSentence } from "./ending.js";
import type { Renderer, RendererOptions, Summary, TextOutput } from "./renderer.js";
import { paint } from "./style.js";
import { createTrace, type Trace } from "./trace.js";

/**
 * Shows nothing but why a build failed, by the last output of the steps that did, and the error; and what else the user should know of
 * it. Checks of the Dockerfile are left out, as by docker: who asks for quiet has seen them.
 */
export function createQuietRenderer(out: TextOutput, options: RendererOptions): Renderer {
  const trace = createTrace();
  return {
    emit: (event) => void trace.apply(event),
    finish(summary) {
      const text = endingText(trace, summary, options);
      if (text !== "") out.write(text);
    },
  };
}

function endingText(trace: Trace, summary: Summary, options: RendererOptions): string {
  switch (summary.kind) {
    case "built":
      return warningLines(trace, options);
    case "failed":
      return failedSteps(trace) + warningLines(trace, options) + failureText(summary, options);
    case "canceled":
      return `ERROR: ${summary.message}\n`;
    case "silent":
      return "";
    default:
      return unreachable(summary);
  }
}

function warningLines({ warnings }: Trace, { color }: RendererOptions): string {
  const told = warnings.filter(({ rule }) => rule === undefined);
  return told.map((each) => `${paint("yellow", `WARNING: ${warningSentence(each)}`, color)}\n`).join("");
}
