import fs from "node:fs";
import path from "node:path";
import { digestOf, redactCredentials } from "../base/index.js";
import type { BuildPlace } from "../cache/index.js";
import type { BuildInputs } from "./inputs.js";
import type { BuildRequest } from "./request.js";

/** What makes the steps of a build the same as those of another: its context as the user named it, resolved, and its Dockerfile. */
export function buildPlace(
  { context, dockerfile, tags = [] }: Pick<BuildRequest, "context" | "dockerfile" | "tags">,
  { dockerfile: found, directories }: Pick<BuildInputs, "dockerfile" | "directories">,
): BuildPlace {
  const directory = directories.get("context");
  const named = typeof context === "string" ? redactCredentials(context) : `- ${tags[0] ?? ""}`;
  const place = typeof context === "string" && directory !== undefined ? realPath(directory) : named;
  return {
    context: place,
    // A Dockerfile that is no file of this machine is known by its name in what it comes with.
    dockerfile: found.path === undefined ? `${place} ${redactCredentials(dockerfile ?? "")}` : realPath(found.path),
    text: digestOf(found.text),
  };
}

/** The path without links; as it was given where that can't be told. */
export function realPath(file: string): string {
  try {
    return fs.realpathSync.native(file);
  } catch {
    return path.resolve(file);
  }
}
