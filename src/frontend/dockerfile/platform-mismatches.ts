import { formatPlatform, normalizePlatform, type Platform } from "../../oci/index.js";
import type { FromInstruction, Range } from "./ast.js";
import { type External, imagesOf, type ResolvedBases } from "./bases.js";
import { platformOf } from "./imageconfig.js";
import type { PlatformMismatch } from "./lint/index.js";
import type { Stage, StagePlan } from "./stages.js";

/** The images of a build that are for another platform than they are used on, in the order of the file. */
export function platformMismatches(
  plan: StagePlan,
  bases: ResolvedBases,
  targetPlatform: Platform,
): readonly PlatformMismatch[] {
  const stages = plan.stages.filter((stage) => bases.reachable.has(stage));
  return stages.flatMap((stage) => namedImages(stage, bases)).flatMap((image) => mismatch(image, targetPlatform));
}

/** An image where the file names it; `platform` is what it was asked for, if not the target's. */
interface NamedImage {
  readonly name: string;
  readonly range: Range;
  readonly culprit: Range | undefined;
  readonly external: External | undefined;
  readonly platform: Platform | undefined;
}

function namedImages(stage: Stage, bases: ResolvedBases): readonly NamedImage[] {
  const { base, node, platform } = stage;
  const own: readonly NamedImage[] =
    base.kind === "image" ? [{ name: base.name, ...place(node.from), external: bases.base(stage), platform }] : [];
  const others = imagesOf(stage, bases.triggers).map((source): NamedImage => {
    const { name, range, culprit } = source;
    return { name, range, culprit, external: bases.image(source), platform: undefined };
  });
  return [...own, ...others];
}

function place({ range, image }: FromInstruction): { readonly range: Range; readonly culprit: Range } {
  return { range, culprit: image.range };
}

/** A named context is taken as it is, and an image without layers runs nothing. */
function mismatch(
  { name, range, culprit, external, platform }: NamedImage,
  target: Platform,
): readonly PlatformMismatch[] {
  if (external?.kind !== "image" || external.context !== undefined) return [];
  const { config } = external;
  const { os, architecture } = platform ?? target;
  const hasLayers = config.rootfs.diff_ids.length > 0 || config.history?.some((entry) => !entry.empty_layer);
  if (!hasLayers || (config.os === os && config.architecture === architecture)) return [];
  const [expected = "", actual = ""] = [platform ?? target, platformOf(config)].map((each) =>
    formatPlatform(normalizePlatform(each)),
  );
  return [{ image: name, expected, actual, range, culprit }];
}
