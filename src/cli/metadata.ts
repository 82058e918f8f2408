import { errorCode, messageOf } from "../base/index.js";
import type { BuildDiagnostic, BuildFailure, BuildResult, BuildWarning } from "../engine/index.js";
import { type ProgressEvent, vertexWarning } from "../progress/index.js";
import { diagnosticJson } from "./diagnostic-json.js";

type Metadata = Readonly<Record<string, unknown>>;

/** A warning as the build told it. */
export type ToldWarning = Omit<Extract<ProgressEvent, { type: "warning" }>, "type">;

/** The content of --metadata-file: buildx's keys, with TOLD among them where the user wants that, then ours. */
export function metadataOf(result: BuildResult, told: readonly ToldWarning[], misses: readonly object[]): Metadata {
  return {
    ...(told.length === 0
      ? {}
      : { "buildx.build.warnings": told.map((each) => vertexWarning(each.vertex, each.warning)) }),
    ...cacheManifest(result),
    ...(result.imageId === undefined ? {} : { "containerimage.config.digest": result.imageId }),
    ...(result.descriptor === undefined ? {} : { "containerimage.descriptor": result.descriptor }),
    ...(result.digest === undefined ? {} : { "containerimage.digest": result.digest }),
    ...(result.names.length === 0 ? {} : { "image.name": result.names.join(",") }),
    "ashlar.outputs": result.outputs,
    "ashlar.steps": result.steps,
    "ashlar.cache.misses": misses,
    "ashlar.diagnostics": result.warnings.map(warningJson),
  };
}

/** What BuildKit says of a cache that was written: of several the last one, and as text, which buildx leaves it. */
function cacheManifest({ caches }: BuildResult): Metadata {
  const last = caches.at(-1);
  return last === undefined ? {} : { "cache.manifest": JSON.stringify(last) };
}

/** The same of a build that failed with ERROR after it had told WARNINGS and MISSES. */
export function failureMetadata(error: unknown, warnings: readonly ToldWarning[], misses: readonly object[]): Metadata {
  // The engine is loaded late, so its BuildFailure is known by its shape.
  const { source, step, diagnostics = [], hint } = error as Partial<BuildFailure>;
  const message = messageOf(error);
  const mistakes: readonly BuildDiagnostic[] =
    diagnostics.length > 0 ? diagnostics : [{ severity: "error", message, ...(hint === undefined ? {} : { hint }) }];
  return {
    "ashlar.diagnostics": [
      ...warnings.map(({ warning }) => warningJson(warning)),
      ...mistakes.map((diagnostic) => diagnosticJson(diagnostic, source?.text)),
    ],
    ...(misses.length === 0 ? {} : { "ashlar.cache.misses": misses }),
    "ashlar.failure": { code: errorCode(error), message, hint, step: step?.name, exitCode: step?.exitCode },
  };
}

function warningJson({ text, ...warning }: BuildWarning): object {
  return diagnosticJson({ severity: "warning", ...warning }, text);
}
