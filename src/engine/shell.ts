import type { Terminal } from "../executor/index.js";
import type { BuildEngine } from "./build.js";
import type { BuildRequest } from "./request.js";
import { shellInImage } from "./run.js";

/** Where a shell is wanted. */
export type ShellPlaceName =
  /** A copy of an image. */
  | { readonly kind: "image"; readonly image: string; readonly volumes: readonly string[] }
  /**
   * A step of the build that BUILD asks for: `STAGE`, `STAGE:N` (as steps are numbered), `Dockerfile:LINE`, or a step's digest or the
   * beginning of one. `after` it; or `before` it, with all that a RUN would be given.
   */
  | { readonly kind: "step"; readonly step: string; readonly side: "before" | "after"; readonly build: BuildRequest };

/** `ashlar shell`. */
export interface ShellRequest {
  readonly place: ShellPlaceName;
  /** What to run; empty: a shell. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  /** Absent: this process's input and outputs. */
  readonly terminal?: Terminal;
  readonly signal?: AbortSignal;
}

/** Runs it; nothing that is changed is kept, and no step is run. The exit code is the process's. */
export async function shellIn(engine: BuildEngine, request: ShellRequest): Promise<number> {
  const { place, ...rest } = request;
  if (place.kind === "step") return (await import("./step-shell.js")).shellInStep(engine, { ...rest, ...place });
  return await shellInImage(engine, { ...rest, image: place.image, volumes: place.volumes });
}
