import { type Derivation, fileState } from "../../llb/index.js";
import type { UserInstruction, WorkdirInstruction } from "./ast.js";
import { derivationOf, derived, noteDerivation } from "./derivations.js";
import { parseOwner } from "./owner.js";
import { rooted, workdir } from "./paths.js";
import { addHistory, expanded, type StageBuild, type StepScope, stepMetadata, stepText } from "./stage-build.js";

const DIRECTORY_MODE = 0o755;

/** WORKDIR: the directory is made, with those above it, for the current USER; it is a layer even if it was there. */
export function convertWorkdir(build: StageBuild, step: StepScope<WorkdirInstruction>): void {
  const { instruction } = step;
  const { text, range } = instruction.path;
  const { value: path, derivation } = derived(build, text, () => expanded(build, instruction, text, range));
  build.facts.expanded.set(instruction, [path]);
  const directory = workdir(build.config.config.WorkingDir, path);
  build.config.config.WorkingDir = directory;
  noteWorkdir(build, path, { text, derivation });
  if (directory !== "/") makeDirectory(build, step, directory);
  addHistory(build, `WORKDIR ${directory}`, directory === "/" ? "settings" : "directory");
}

export function convertUser(build: StageBuild, instruction: UserInstruction): void {
  const { text, range } = instruction.user;
  const { value: user, derivation } = derived(build, text, () => expanded(build, instruction, text, range));
  build.config.config.User = user;
  noteDerivation(build, { setting: "USER" }, derivation);
  addHistory(build, `USER ${user}`, "settings");
}

/** Variables of relative paths in a row that are told apart. */
const TERMS_MAX = 16;

/** A relative path also comes from where the one before does. */
function noteWorkdir(
  build: StageBuild,
  path: string,
  { text, derivation }: { readonly text: string; readonly derivation: Derivation | undefined },
): void {
  const setting = { setting: "WORKDIR" } as const;
  const before = path.startsWith("/") ? undefined : derivationOf(build, setting);
  const variables = before && [...before.variables, ...(derivation?.variables ?? [])];
  const isKnown = variables !== undefined && variables.length <= TERMS_MAX;
  const below = isKnown ? { text: `${before?.text} ${text}`, variables } : undefined;
  noteDerivation(build, setting, before ? below : derivation);
}

function makeDirectory(build: StageBuild, step: StepScope<WorkdirInstruction>, directory: string): void {
  const { User: user } = build.config.config;
  const { epoch } = build.scope;
  const name = build.names.next(stepText(build, step.instruction), {
    trigger: step.trigger,
    variables: build.variables,
  });
  const timestamp = epoch === undefined ? -1 : epoch.getTime() / 1000;
  const owner = user ? parseOwner(user) : undefined;
  const path = rooted(directory);
  build.state = fileState(
    build.state,
    [{ owner, action: { kind: "mkdir", path, mode: DIRECTORY_MODE, makeParents: true, timestamp } }],
    { metadata: stepMetadata(build, step, name) },
  );
}
