import fs from "node:fs";
import path from "node:path";
import { EngineError } from "../../base/index.js";
import { archiveDestination } from "../archive-destination.js";
import { parseEngine } from "../build-request.js";
import { BROKEN_PIPE_CODE } from "../exit-codes.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";
import { type ProgressFlags, withProgress } from "./image-progress.js";

export interface SaveFlags extends ProgressFlags {
  readonly root?: string;
  readonly output?: string;
  readonly platform?: readonly string[];
}

/** `ashlar save [-o FILE] IMAGE...`: an archive that docker, podman and others load. */
export async function saveCommand(
  flags: SaveFlags,
  images: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const destination = archiveDestination(flags.output, surroundings, "cowardly refusing to save to a terminal");
  const { dest } = destination;
  if (typeof dest === "string" && !fs.existsSync(path.dirname(dest)))
    throw new EngineError(
      "invalid",
      `invalid output path: directory ${JSON.stringify(path.dirname(dest))} does not exist`,
    );
  const options = parseEngine(flags, ambientOf(surroundings));
  let isBroken = false;
  const code = await withProgress(flags, surroundings, async (work) => {
    await using engine = await surroundings.openEngine({ ...options, ...work });
    const saved = () => engine.images.save({ images, dest, platforms: flags.platform, ...work });
    isBroken = await destination.isCutOff(saved);
    return () => undefined;
  });
  return isBroken ? BROKEN_PIPE_CODE : code;
}
