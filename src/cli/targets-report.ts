import type { TargetsReport } from "../engine/index.js";
import { tabulated } from "./aligned-columns.js";
import type { CallAnswer } from "./call.js";
import { locationJson, sourceData } from "./source-location.js";

/** What can be built, as `docker buildx build --call=targets` tells it. */
export function answerTargets({ targets, source }: TargetsReport): CallAnswer {
  const json = {
    targets: targets.map(({ name, isDefault, description, base, platform, location }) => ({
      name: name || undefined,
      default: isDefault || undefined,
      description: description || undefined,
      base: base || undefined,
      platform: platform || undefined,
      location: locationJson(location),
    })),
    sources: [sourceData(source)],
  };
  const rows = targets.map((target) => [shownName(target), target.description ?? ""]);
  return { json, text: tabulated([["TARGET", "DESCRIPTION"], ...rows], 1), version: "1.0.0" };
}

function shownName({ name = "", isDefault }: TargetsReport["targets"][number]): string {
  return [name, ...(isDefault ? ["(default)"] : [])].filter((part) => part !== "").join(" ");
}
