import { fileState } from "../../llb/index.js";
import type { UserInstruction, WorkdirInstruction } from "./ast.js";
import { parseOwner } from "./owner.js";
import { rooted, workdir } from "./paths.js";
import { addHistory, expanded, type StageBuild, type StepScope, stepMetadata, stepText } from "./stage-build.js";

const DIRECTORY_MODE = 0o755;

/** WORKDIR: the directory is made, with those above it, for the current USER; it is a layer even if it was there. */
export function convertWorkdir(build: StageBuild, step: StepScope<WorkdirInstruction>): void {
  const { instruction } = step;
  const path = expanded(build, instruction, instruction.path.text, instruction.path.range);
  build.facts.expanded.set(instruction, [path]);
  const directory = workdir(build.config.config.WorkingDir, path);
  build.config.config.WorkingDir = directory;
  if (directory !== "/") makeDirectory(build, step, directory);
  addHistory(build, `WORKDIR ${directory}`, directory === "/" ? "settings" : "directory");
}

export function convertUser(build: StageBuild, instruction: UserInstruction): void {
  const user = expanded(build, instruction, instruction.user.text, instruction.user.range);
  build.config.config.User = user;
  addHistory(build, `USER ${user}`, "settings");
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
