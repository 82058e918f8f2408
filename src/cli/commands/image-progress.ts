import type { ImageWork } from "../../engine/index.js";
import { parseProgress } from "../build-request.js";
import { failureOf } from "../failure.js";
import { createRenderer, leavingScreen } from "../renderers.js";
import { listenForStop } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";

/** The flags of commands that show how far they are. */
export interface ProgressFlags {
  readonly quiet?: boolean;
  readonly progress?: string;
  readonly debug?: boolean;
}

/**
 * Does WORK on images, showing it as builds are shown; then TELL, which WORK gives, says what came of it. The exit code: that of a signal
 * that stopped it, or 1 for a failure, which is told.
 */
export async function withProgress(
  flags: ProgressFlags,
  surroundings: Surroundings,
  work: (work: ImageWork) => Promise<() => void>,
): Promise<number> {
  const mode = flags.quiet ? "quiet" : parseProgress(flags.progress, surroundings.env);
  const renderer = createRenderer(mode, surroundings, flags.debug === true);
  using stopping = listenForStop(surroundings);
  using _ = leavingScreen(renderer, surroundings);
  try {
    const tell = await work({ onProgress: (event) => renderer.emit(event), signal: stopping.signal });
    renderer.finish({ kind: "silent" });
    tell();
    return stopping.exitCode() ?? 0;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    renderer.finish(failureOf(error, flags.debug === true));
    return stopping.exitCode() ?? 1;
  }
}
