import type { ImageReport, ListedManifest } from "../engine/index.js";
import { formatPlatform } from "../oci/index.js";
import { tabulated } from "./aligned-columns.js";

/** What `docker buildx imagetools inspect` says of an image. */
export function imageReportText({ name, descriptor, manifests }: ImageReport): string {
  const head = tabulated(
    [
      ["Name:", name],
      ["MediaType:", descriptor.mediaType],
      ["Digest:", descriptor.digest],
    ],
    GAP,
  );
  return manifests === undefined ? head : head + listText(manifests);
}

const GAP = 1;
const INDENT = "  ";

type Row = readonly [key: string, value: string];

function listText(manifests: readonly ListedManifest[]): string {
  const title = tabulated(
    [
      ["", ""],
      ["Manifests:", ""],
    ],
    GAP,
  );
  let text = title;
  // Rows that stand together have their values in one column; annotations have one of their own, which ends the other.
  let pending: Row[] = [];
  for (const [i, manifest] of manifests.entries()) {
    const annotations = Object.entries(manifest.descriptor.annotations ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    pending.push(...(i === 0 ? [] : [EMPTY]), ...rowsOf(manifest));
    if (annotations.length === 0 || manifest.descriptor.platform === undefined) continue;
    text += tabulated([...pending, [`${INDENT}Annotations:`, ""]], GAP);
    text += tabulated(
      annotations.map(([key, value]) => [`${INDENT}${INDENT}${key}:`, value]),
      GAP,
    );
    pending = [];
  }
  return text + tabulated(pending, GAP);
}

const EMPTY: Row = ["", ""];

function rowsOf({ name, descriptor }: ListedManifest): readonly Row[] {
  const { mediaType, platform, urls = [] } = descriptor;
  const rows: Row[] = [
    [`${INDENT}Name:`, name],
    [`${INDENT}MediaType:`, mediaType],
  ];
  if (platform === undefined) return rows;
  rows.push([`${INDENT}Platform:`, formatPlatform(platform)]);
  if (platform.osVersion) rows.push([`${INDENT}OSVersion:`, platform.osVersion]);
  if (platform.osFeatures?.length) rows.push([`${INDENT}OSFeatures:`, platform.osFeatures.join(", ")]);
  if (urls.length > 0) rows.push([`${INDENT}URLs:`, urls.join(", ")]);
  return rows;
}
