import { EngineError } from "../base/index.js";
import { formatPlatform, type Platform, samePlatform } from "../oci/index.js";

/** Where an annotation stands: in a document, or at the descriptor by which something points to it. */
export type AnnotationPlace = "index" | "index-descriptor" | "manifest" | "manifest-descriptor";

/** One `annotation-PLACE[PLATFORM].KEY=VALUE`. */
export interface Annotation {
  readonly place: AnnotationPlace;
  /** The only platform that it is for. */
  readonly platform: Platform | undefined;
  readonly key: string;
  readonly value: string;
}

/** The annotations that go to PLACE of the image for PLATFORM; an index's are for all. */
export function annotationsAt(
  annotations: readonly Annotation[],
  place: AnnotationPlace,
  platform?: Platform,
): Readonly<Record<string, string>> {
  const concerned = annotations.filter(
    (each) => each.place === place && (!each.platform || !platform || samePlatform(each.platform, platform)),
  );
  // What is meant for the one platform wins.
  const general = concerned.filter((each) => !each.platform);
  const special = concerned.filter((each) => each.platform);
  return Object.fromEntries([...general, ...special].map(({ key, value }) => [key, value]));
}

/** Throws `invalid` for annotations that images for PLATFORMS have no place for, with or without an index around them. */
export function checkAnnotations(
  annotations: readonly Annotation[],
  platforms: readonly Platform[],
  { mediaTypes, hasIndex }: { readonly mediaTypes: "oci" | "docker"; readonly hasIndex: boolean },
): void {
  for (const { place, platform } of annotations) {
    if (platform && !platforms.some((each) => samePlatform(each, platform)))
      throw refused(`invalid annotation: no platform ${formatPlatform(platform)} found in source`);
    if (mediaTypes === "docker" && place !== "manifest")
      throw refused('cannot export annotations with "oci-mediatypes=false"');
    if (!hasIndex && (place === "index" || place === "index-descriptor"))
      throw refused("index annotations not supported for single platform export");
  }
}

function refused(sentence: string): EngineError {
  return new EngineError("invalid", sentence);
}
