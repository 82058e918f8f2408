import { type Platform, parsePlatform } from "../../../oci/index.js";
import type { FromInstruction } from "../ast.js";
import { type ExpandResult, expandWord, type VariableSource } from "../expand.js";
import type { LintContext } from "./rule.js";

/** The variables that FROM sees. */
export interface GlobalScope {
  readonly variables: VariableSource;
  /** Every name that is set or declared. */
  readonly names: ReadonlySet<string>;
}

/**
 * The platform's variables and the ARGs ahead of the first FROM, with --build-arg over their defaults or as if there
 * were none. Undefined where a default can't be expanded.
 */
export function globalScope({ file, facts }: LintContext, values: "given" | "defaults"): GlobalScope | undefined {
  const variables = new Map(facts?.platformArgs);
  const names = new Set(variables.keys());
  const buildArgs = values === "given" ? facts?.buildArgs : undefined;
  for (const { key, value } of file.globalArgs.flatMap((instruction) => instruction.args)) {
    names.add(key);
    const given = buildArgs?.get(key);
    if (given !== undefined) variables.set(key, given);
    else if (value !== undefined) {
      const expanded = expandWord(value, variables, file.directives.escape);
      if (!expanded.ok) return undefined;
      variables.set(key, expanded.value);
    }
  }
  return { variables, names };
}

/** A FROM and what its words expand to. */
export interface ExpandedFrom {
  readonly from: FromInstruction;
  readonly scope: GlobalScope;
  readonly image: ExpandResult;
  /** Undefined without --platform, or where the image can't be expanded. */
  readonly platform: ExpandResult | undefined;
  /** What `platform` says, undefined where it says nothing. */
  readonly parsedPlatform: Platform | undefined;
}

/** The FROMs with their words expanded, up to and with the first that means nothing: the build ends there. */
export function* expandedFroms(context: LintContext): Generator<ExpandedFrom> {
  const scope = globalScope(context, "given");
  if (!scope) return;
  const { escape: escapeCharacter } = context.file.directives;
  for (const from of context.froms) {
    const image = expandWord(from.image.text, scope.variables, escapeCharacter);
    const isNamed = image.ok && image.value !== "";
    const written = from.platform?.value;
    const platform = isNamed && written ? expandWord(written, scope.variables, escapeCharacter) : undefined;
    const parsedPlatform = platform?.ok ? readPlatform(platform.value, context) : undefined;
    yield { from, scope, image, platform, parsedPlatform };
    if (!isNamed || (platform && !parsedPlatform)) return;
  }
}

function readPlatform(text: string, { facts }: LintContext): Platform | undefined {
  if (text === "") return undefined;
  const os = facts?.platformArgs.get("BUILDOS") ?? "linux";
  const architecture = facts?.platformArgs.get("BUILDARCH") ?? "amd64";
  try {
    return parsePlatform(text, { os, architecture });
  } catch {
    return undefined;
  }
}
