import type { BuildResult } from "../engine/index.js";

/** The content of --metadata-file: buildx's keys, then ours. */
export function metadataOf(result: BuildResult): Readonly<Record<string, unknown>> {
  return {
    ...(result.imageId === undefined ? {} : { "containerimage.config.digest": result.imageId }),
    ...(result.descriptor === undefined ? {} : { "containerimage.descriptor": result.descriptor }),
    ...(result.digest === undefined ? {} : { "containerimage.digest": result.digest }),
    ...(result.names.length === 0 ? {} : { "image.name": result.names.join(",") }),
    "ashlar.outputs": result.outputs,
    "ashlar.steps": result.steps,
    "ashlar.warnings": result.warnings,
  };
}
