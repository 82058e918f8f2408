import type { Diagnostic, FrontendRequest } from "../frontend.js";
import type { DockerfileNode } from "./ast.js";
import { didYouMean } from "./suggest.js";

/** Warnings about stages that are not to be taken from the cache and that there are not, of which BuildKit says nothing. */
export function unknownStages({ noCache }: FrontendRequest, dockerfile: DockerfileNode): readonly Diagnostic[] {
  if (typeof noCache === "boolean") return [];
  const names = dockerfile.instructions.flatMap((instruction) =>
    instruction.kind === "from" && instruction.name !== undefined ? [instruction.name.text.toLowerCase()] : [],
  );
  const unknown = noCache.filter((name) => name !== "" && !names.includes(name.toLowerCase()));
  return unknown.map((name) => ({
    severity: "warning",
    message: `no stage is named ${name}, which --no-cache-filter names${didYouMean(name.toLowerCase(), names)}`,
  }));
}
