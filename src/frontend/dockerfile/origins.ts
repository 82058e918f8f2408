import type { SourceFiles } from "./source-states.js";
import { invalid, type StageBuild } from "./stage-build.js";
import type { Origin } from "./stages.js";

/** The file system of ORIGIN for a step of BUILD. Throws what LATE says of a stage that comes after this one. */
export function originFiles(build: StageBuild, origin: Origin, late: (label: string) => string): SourceFiles {
  const { bases, sources, stages, targetPlatform } = build.scope;
  if (origin.kind === "image") return sources.external(bases.image(origin), targetPlatform);
  const { stage } = origin;
  if (stage.base.kind === "context") {
    const base = bases.base(stage) ?? { kind: "empty" };
    return sources.external(base, stage.platform ?? targetPlatform);
  }
  const done = stages.get(stage);
  if (done === undefined || stage.index >= build.stage.index) throw invalid(late(stage.label));
  return { state: done.state, used: done.used };
}
