import type { SourceRange } from "../../llb/index.js";
import type { FrontendRequest } from "../frontend.js";
import { descriptionOf } from "./descriptions.js";
import { sourceRange } from "./place.js";
import { readDockerfile } from "./solve.js";

/** A stage, as something to build. */
export interface TargetInfo {
  /** In lower case, undefined without AS. */
  readonly name: string | undefined;
  /** From the comment above it. */
  readonly description: string | undefined;
  /** Whether it is what is built when no target is named. */
  readonly isDefault: boolean;
  /** As written, variables not expanded. */
  readonly base: string;
  readonly platform: string | undefined;
  readonly location: SourceRange;
}

/** The stages of a Dockerfile, in order. Nothing is resolved or expanded. Throws a DiagnosticError for syntax errors. */
export function listTargets(request: FrontendRequest): readonly TargetInfo[] {
  const { stages } = readDockerfile(request).dockerfile;
  return stages.map(({ from, index }) => {
    const name = from.name?.text.toLowerCase();
    return {
      name,
      description: descriptionOf(from.comments, name ?? ""),
      isDefault: index === stages.length - 1,
      base: from.image.text,
      platform: from.platform?.value,
      location: sourceRange(request.dockerfile.name, from.range),
    };
  });
}
