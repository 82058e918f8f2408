import { EngineError, secretValues, unreachable } from "../../base/index.js";
import type { State } from "../../llb/index.js";
import { formatPlatform, normalizePlatform, type Platform } from "../../oci/index.js";
import type { StageInstruction } from "./ast.js";
import type { External } from "./bases.js";
import { convertCopy } from "./convert-copy.js";
import { convertRun } from "./convert-run.js";
import {
  convertArg,
  convertCommand,
  convertEnv,
  convertExpose,
  convertHealthcheck,
  convertLabel,
  convertStopsignal,
  convertVolume,
} from "./convert-settings.js";
import { convertUser, convertWorkdir } from "./convert-workdir.js";
import { variableOf } from "./env-entries.js";
import { createEnvironment } from "./environment.js";
import { expandWord, settings } from "./expand.js";
import { createStageFacts, type StageFactsDraft } from "./facts.js";
import { plainList } from "./history.js";
import { DEFAULT_PATH, draftOf, emptyConfig, inheritedConfig, platformOf } from "./imageconfig.js";
import type { Pace } from "./pace.js";
import { workdir } from "./paths.js";
import { placed, sourceRange } from "./place.js";
import type { UsedPaths } from "./source-states.js";
import { addHistory, type ConvertScope, type StageBuild } from "./stage-build.js";
import type { Stage, Step } from "./stages.js";
import { createVertexNames } from "./vertex-names.js";

/** A stage ready for its first step. `onFacts` is given what is found out about it at once, so that it outlives an error. */
export function beginStage(scope: ConvertScope, stage: Stage, onFacts: (facts: StageFactsDraft) => void): StageBuild {
  const begun = stage.base.kind === "stage" ? childStage(scope, stage, stage.base.stage) : rootStage(scope, stage);
  onFacts(begun.facts);
  begun.facts.baseHasShell = (begun.config.config.Shell ?? []).length > 0;
  // What a named context stands for is taken as it is.
  if (stage.base.kind !== "context") completeConfig(begun);
  const { list } = begun.config.config.Env;
  begun.variables.begin(list);
  // Those of a stage are noted already.
  if (stage.base.kind !== "stage") for (const secret of secretValues(list.map(variableOf))) scope.secrets.add(secret);
  return begun;
}

/** Converts all steps of a stage, those of ONBUILD first. Throws a DiagnosticError for the first that can't be. */
export async function convertSteps(build: StageBuild, pace: Pace): Promise<void> {
  const triggers = build.scope.bases.triggers.get(build.stage) ?? [];
  let ordinal = FROM_ORDINAL;
  for (const steps of [triggers, build.stage.steps]) {
    for (const step of steps) {
      if (pace.isDue()) await pace.rest();
      try {
        convertStep(build, step, ++ordinal);
      } catch (error) {
        build.facts.failed = step.instruction;
        throw placed(error, { file: build.scope.request.dockerfile.name, range: step.instruction.range });
      }
      build.facts.converted.push(step.instruction);
      for (const source of step.sources) if (source?.kind === "stage") build.facts.sources.add(source.stage.index);
    }
  }
}

const FROM_ORDINAL = 0;

function convertStep(build: StageBuild, { instruction, trigger, sources }: Step, ordinal: number): void {
  build.consulted = undefined;
  switch (instruction.kind) {
    case "run":
      convertRun(build, { instruction, trigger, sources, ordinal });
      break;
    case "copy":
    case "add":
      convertCopy(build, { instruction, trigger, sources, ordinal });
      break;
    case "workdir":
      convertWorkdir(build, { instruction, trigger, sources, ordinal });
      break;
    case "user":
      convertUser(build, instruction);
      break;
    default:
      convertSetting(build, instruction);
      break;
  }
}

type SettingInstruction = Exclude<StageInstruction, { kind: "run" | "copy" | "add" | "workdir" | "user" }>;

function convertSetting(build: StageBuild, instruction: SettingInstruction): void {
  const { config } = build;
  switch (instruction.kind) {
    case "arg":
      convertArg(build, instruction);
      break;
    case "env":
      convertEnv(build, instruction);
      break;
    case "label":
      convertLabel(build, instruction);
      break;
    case "expose":
      convertExpose(build, instruction);
      break;
    case "volume":
      convertVolume(build, instruction);
      break;
    case "cmd":
    case "entrypoint":
      convertCommand(build, instruction);
      break;
    case "stopsignal":
      convertStopsignal(build, instruction);
      break;
    case "healthcheck":
      convertHealthcheck(build, instruction);
      break;
    case "shell":
      config.config.Shell = instruction.shell;
      addHistory(build, `SHELL ${plainList(instruction.shell)}`, "settings");
      break;
    case "maintainer":
      config.author = instruction.name.text;
      addHistory(build, `MAINTAINER ${instruction.name.text}`, "settings");
      break;
    case "onbuild":
      config.config.OnBuild.push(instruction.trigger);
      break;
    default:
      unreachable(instruction);
  }
}

function childStage(scope: ConvertScope, stage: Stage, parentStage: Stage): StageBuild {
  const parent = scope.stages.get(parentStage);
  if (parent === undefined) throw new EngineError("internal", `stage ${parentStage.label} is not converted`);
  const inherited = scope.isLastHeir(stage) ? takenOver(parent) : copied(parent);
  const facts = createStageFacts(stageId(stage, parent.platform));
  facts.parent = parentStage.index;
  return {
    scope,
    stage,
    platform: parent.platform,
    used: parent.used,
    names: stageNames(scope, stage, parent.platform),
    facts,
    ...inherited,
    derivations: parent.derivations,
    inherited: parent.inherited,
    consulted: undefined,
    state: parent.state,
    hasCommand: false,
  };
}

type Settings = Pick<StageBuild, "config" | "variables" | "args" | "argNames" | "derived">;

function copied({ config, variables, args, argNames, derived }: StageBuild): Settings {
  return {
    config: draftOf(config),
    variables: variables.clone(),
    args: new Map(args),
    argNames,
    derived: new Map(derived),
  };
}

/** The very settings of a stage that nobody asks for them any more: so a long line of stages is converted in linear time. */
function takenOver({ config, variables, args, argNames, derived }: StageBuild): Settings {
  // Triggers fire once: they are for the image that is built upon this one.
  config.config.OnBuild.length = 0;
  return { config, variables, args, argNames, derived };
}

function rootStage(scope: ConvertScope, stage: Stage): StageBuild {
  const base = scope.bases.base(stage) ?? { kind: "empty" };
  const platform = basePlatform(scope, stage, base);
  refuseWindows(scope, stage, platform);
  const names = stageNames(scope, stage, platform);
  const facts = createStageFacts(stageId(stage, platform));
  const config = base.kind === "image" ? inheritedConfig(base.config) : emptyConfig(platform);
  const { state, used } = baseFiles(scope, stage, base, (reference) =>
    names.next(`FROM ${reference}`, { trigger: false, variables: NO_VARIABLES }),
  );
  return {
    scope,
    stage,
    platform,
    used,
    names,
    facts,
    variables: createEnvironment(),
    args: new Map(),
    argNames: undefined,
    consulted: undefined,
    derivations: undefined,
    derived: new Map(),
    inherited: new Set(config.config.Env.list),
    config,
    state,
    hasCommand: false,
  };
}

const NO_VARIABLES: ReadonlyMap<string, string> = new Map();

/** A stage runs on the platform it asks for; one that a named image stands for, on that image's. */
function basePlatform(scope: ConvertScope, stage: Stage, base: External): Platform {
  if (stage.base.kind === "context" && base.kind === "image" && base.config.os && base.config.architecture) {
    return normalizePlatform(platformOf(base.config));
  }
  // `FROM --platform=… scratch` still gives the target's platform.
  return (stage.base.kind === "scratch" ? undefined : stage.platform) ?? scope.targetPlatform;
}

/** Layers for Windows have a form of their own: what would be made would be no image of Windows. */
function refuseWindows({ request }: ConvertScope, { node: { from } }: Stage, platform: Platform): void {
  if (platform.os !== "windows") return;
  const place = { file: request.dockerfile.name, range: from.range, culprit: (from.platform ?? from.image).range };
  throw placed(new EngineError("unsupported", `images for ${formatPlatform(platform)} can't be built`), place);
}

function baseFiles(
  scope: ConvertScope,
  stage: Stage,
  base: External,
  name: (reference: string) => string,
): { readonly state: State; readonly used: UsedPaths } {
  const platform = stage.platform ?? scope.targetPlatform;
  const place = {
    command: stage.node.from.original,
    location: sourceRange(scope.request.dockerfile.name, stage.node.from.range),
    step: { stage: stageId(stage, platform), ordinal: FROM_ORDINAL },
    args: scope.globalNames,
    variables: settings(expandWord(stage.node.from.image.text, scope.globals, scope.escape).consulted, scope.globals),
  };
  return scope.sources.external(base, platform, { name, place });
}

/** PATH is always set, and the working directory is an absolute one. */
function completeConfig({ config: { config } }: StageBuild): void {
  if (!config.Env.has("PATH")) config.Env.set("PATH", DEFAULT_PATH);
  if (config.WorkingDir) config.WorkingDir = workdir(config.WorkingDir, config.WorkingDir);
}

function stageNames(scope: ConvertScope, stage: Stage, platform: Platform) {
  const steps = scope.bases.triggers.get(stage) ?? [];
  const counted = [...steps, ...stage.steps.filter(makesVertex)].length;
  return createVertexNames({
    label: scope.isOnlyStage ? "" : stage.label,
    total: stage.isReplaced ? 0 : counted + (stage.base.kind === "image" ? 1 : 0),
    platform: scope.showPlatform ? platform : undefined,
  });
}

function makesVertex({ instruction: { kind } }: Step): boolean {
  return kind === "run" || kind === "copy" || kind === "add" || kind === "workdir";
}

function stageId(stage: Stage, platform: Platform): string {
  return `${stage.name ?? stage.index} ${formatPlatform(platform)}`;
}
