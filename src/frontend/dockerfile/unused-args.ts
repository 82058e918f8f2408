import type { Diagnostic, FrontendRequest } from "../frontend.js";
import type { ArgInstruction, DockerfileNode } from "./ast.js";
import type { FactsDraft } from "./facts.js";
import { sourceRange } from "./place.js";
import { suggest } from "./suggest.js";

/**
 * Warnings about build arguments that no ARG takes and that are nearly the name of one that there is. BuildKit says nothing of
 * arguments that are not used, and builds are given many such; only what looks like a mistake is worth a word.
 */
export function misspeltArguments(
  { buildArgs, dockerfile: { name: file } }: FrontendRequest,
  dockerfile: DockerfileNode,
  facts: FactsDraft,
): readonly Diagnostic[] {
  if (buildArgs.size === 0) return [];
  const declared = declaredArguments(dockerfile, facts);
  const known = [...declared.keys(), ...PREDEFINED];
  return [...buildArgs.keys()].flatMap((given): Diagnostic[] => {
    if (declared.has(given) || isPredefined(given)) return [];
    const meant = known.find((key) => key.toLowerCase() === given.toLowerCase()) ?? nearTo(given, known);
    if (meant === undefined) return [];
    const instruction = declared.get(meant);
    const message = `build argument ${given} is not used (did you mean ${meant}?)`;
    const place = instruction === undefined ? {} : { location: sourceRange(file, instruction.range) };
    return [{ severity: "warning", message, ...place }];
  });
}

/** Of shorter names each is near to any other. */
const MIN_LENGTH = 5;

function nearTo(given: string, known: readonly string[]): string | undefined {
  return given.length < MIN_LENGTH ? undefined : suggest(given, known);
}

const PLATFORM_ARGS = ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT"].flatMap((part) => [
  `TARGET${part}`,
  `BUILD${part}`,
]);
/** Arguments that mean something without an ARG. */
const PREDEFINED = [
  ...PLATFORM_ARGS,
  "TARGETSTAGE",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "FTP_PROXY",
  "NO_PROXY",
  "ALL_PROXY",
  "SOURCE_DATE_EPOCH",
  "BUILDKIT_BUILD_NAME",
  "BUILDKIT_CACHE_MOUNT_NS",
  "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
  "BUILDKIT_DOCKERFILE_CHECK",
  "BUILDKIT_INLINE_CACHE",
  "BUILDKIT_MULTI_PLATFORM",
  "BUILDKIT_SANDBOX_HOSTNAME",
  "BUILDKIT_SBOM_SCAN_CONTEXT",
  "BUILDKIT_SBOM_SCAN_STAGE",
  "BUILDKIT_SYNTAX",
];

function isPredefined(name: string): boolean {
  return PREDEFINED.includes(name) || (/_proxy$/i.test(name) && PREDEFINED.includes(name.toUpperCase()));
}

/** The first ARG of each name, in stages that nobody needs and in triggers of base images too. */
function declaredArguments(dockerfile: DockerfileNode, facts: FactsDraft): ReadonlyMap<string, ArgInstruction> {
  const declared = new Map<string, ArgInstruction>();
  const note = (key: string, instruction: ArgInstruction) => {
    if (!declared.has(key)) declared.set(key, instruction);
  };
  for (const instruction of dockerfile.instructions) {
    if (instruction.kind === "arg") for (const { key } of instruction.args) note(key, instruction);
  }
  for (const stage of facts.stages.values()) for (const { key, instruction } of stage.args) note(key, instruction);
  return declared;
}
