import {
  type AbortOptions,
  createPatternMatcher,
  EngineError,
  type PatternMatcher,
  secretValues,
} from "../../base/index.js";
import { definitionOf, type NameList } from "../../llb/index.js";
import { normalizePlatform, type Platform } from "../../oci/index.js";
import { parseDockerignore } from "../dockerignore/index.js";
import type { FrontendBridge, FrontendImage, FrontendRequest } from "../frontend.js";
import type { DockerfileNode } from "./ast.js";
import { type ResolvedBases, resolveBases } from "./bases.js";
import { isMultiPlatform } from "./builtin-args.js";
import { type ContextNames, createContextNames } from "./contexts.js";
import { beginStage, convertSteps } from "./convert-stage.js";
import { globalArgs, platformArgs, proxyEnvironment, type Variables } from "./environment.js";
import { EPOCH_ARG, epochText, sourceDateEpoch } from "./epoch.js";
import type { FactsDraft } from "./facts.js";
import { finishedConfig, onPlatform, platformOf } from "./imageconfig.js";
import { createPace } from "./pace.js";
import { platformMismatches } from "./platform-mismatches.js";
import { createSourceStates } from "./source-states.js";
import type { ConvertScope, StageBuild } from "./stage-build.js";
import { planStages, type Stage, type StagePlan } from "./stages.js";

/** One conversion: of a file without errors, for one platform. */
export interface Conversion {
  readonly request: FrontendRequest;
  readonly dockerfile: DockerfileNode;
  readonly bridge: FrontendBridge;
  /** Undefined is the build platform, without anyone having asked for it. */
  readonly platform: Platform | undefined;
  /** Whether all stages are converted, not only those the target needs. */
  readonly allStages: boolean;
  /** Is filled on the way, and so tells of what was done before an error. */
  readonly facts: FactsDraft;
}

/** Converts the target of a Dockerfile to a graph and an image config. Throws a DiagnosticError for what the text gets wrong. */
export async function convertDockerfile(conversion: Conversion, options: AbortOptions): Promise<FrontendImage> {
  const { request, dockerfile, facts } = conversion;
  const targetPlatform = normalizePlatform(conversion.platform ?? request.buildPlatform);
  const contexts = createContextNames(request.contexts);
  const args = await buildArguments(conversion, contexts, targetPlatform, options);
  const fileName = request.dockerfile.name;
  const { buildPlatform } = request;
  const plan = planStages({ fileName, dockerfile, globals: args.globals, contexts, buildPlatform, targetPlatform });
  const target = plan.target(request.target);
  const needed = conversion.allStages ? undefined : target;
  const bases = await resolveBases(
    { fileName, plan, target: needed, contexts, targetPlatform, bridge: conversion.bridge },
    options,
  );
  facts.platformMismatches = platformMismatches(plan, bases, targetPlatform);
  const stages = new Map<Stage, StageBuild>();
  const scope: ConvertScope = {
    request,
    ...args,
    secrets: new Set(secretValues([...args.globals, ...args.buildArgs])),
    globalNames: listOf(args.globals.keys()),
    escape: dockerfile.directives.escape,
    proxyEnv: proxyEnvironment(request.buildArgs),
    targetPlatform,
    showPlatform: isMultiPlatform(request),
    isOnlyStage: isOnlyStage(plan),
    bases,
    sources: createSourceStates(request.mainContext ?? ignorePatterns(request).patterns),
    stages,
    isLastHeir: lastHeirs(inOrder(plan, bases), target),
  };
  const pace = createPace(options);
  for (const stage of inOrder(plan, bases)) {
    const build = beginStage(scope, stage, (found) => facts.stages.set(stage.index, found));
    await convertSteps(build, pace);
    stages.set(stage, build);
  }
  return finishedImage(conversion, targetPlatform, stages.get(target));
}

/** The patterns that keep files out of the main context. Throws `invalid` for patterns that mean nothing. */
export function ignorePatterns({ dockerignore }: FrontendRequest): PatternMatcher {
  const result = createPatternMatcher(dockerignore === undefined ? [] : parseDockerignore(dockerignore.text));
  if (!result.ok) throw new EngineError("invalid", `reading ${dockerignore?.name}: ${result.error}`);
  return result.matcher;
}

/** The arguments that every file has: TARGETPLATFORM and its like, for the build of TARGET. */
export function predefinedArgs(request: FrontendRequest, dockerfile: DockerfileNode, target: Platform): Variables {
  const platforms = { build: normalizePlatform(request.buildPlatform), target: normalizePlatform(target) };
  const stage = request.target || dockerfile.stages.at(-1)?.from.name?.text.toLowerCase();
  return platformArgs(platforms, stage, request.buildArgs);
}

interface BuildArguments {
  readonly globals: Variables;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly epoch: Date | undefined;
}

async function buildArguments(
  { request, dockerfile, bridge }: Conversion,
  contexts: ContextNames,
  platform: Platform,
  options: AbortOptions,
): Promise<BuildArguments> {
  const known = predefinedArgs(request, dockerfile, platform);
  const globals = globalArgs({ name: request.dockerfile.name, dockerfile }, known, request.buildArgs);
  const buildArgs = new Map(request.buildArgs);
  const value = buildArgs.get(EPOCH_ARG) ?? (globals.get(EPOCH_ARG) || undefined);
  if (value === undefined) return { globals, buildArgs, epoch: undefined };
  const scope = { request, dockerfile, contexts, globals, platform: request.buildPlatform, bridge };
  const epoch = await sourceDateEpoch(value, scope, options);
  for (const variables of [globals, buildArgs]) {
    if (!variables.has(EPOCH_ARG)) continue;
    if (epoch === undefined) variables.delete(EPOCH_ARG);
    else variables.set(EPOCH_ARG, epochText(epoch));
  }
  return { globals, buildArgs, epoch };
}

function inOrder(plan: StagePlan, bases: ResolvedBases): readonly Stage[] {
  return plan.stages.filter((stage) => bases.reachable.has(stage));
}

/** Tells of each stage whether it is the last of STAGES that is built upon its base; nobody takes over what TARGET has. */
function lastHeirs(stages: readonly Stage[], target: Stage): (stage: Stage) => boolean {
  const heirs = new Map<Stage, Stage>();
  for (const stage of stages) if (stage.base.kind === "stage") heirs.set(stage.base.stage, stage);
  heirs.delete(target);
  return (stage) => stage.base.kind === "stage" && heirs.get(stage.base.stage) === stage;
}

/** Whether there is one stage and it takes nothing from elsewhere but by FROM. */
function isOnlyStage(plan: StagePlan): boolean {
  const [first, ...others] = plan.stages;
  if (first === undefined || others.length > 0) return false;
  return first.steps.every(({ instruction, sources }) =>
    instruction.kind === "run" ? instruction.mounts.length === 0 : sources.length === 0,
  );
}

function finishedImage(conversion: Conversion, target: Platform, build: StageBuild | undefined): FrontendImage {
  if (build === undefined) throw new EngineError("internal", "the target stage was not converted");
  // Whatever is built is wanted whole.
  build.used.add("/");
  for (const [name, value] of conversion.request.labels) build.config.config.Labels.set(name, value);
  const { config } = build;
  const wanted = conversion.platform === undefined ? config : onPlatform(config, target);
  const platform = wanted.os && wanted.architecture ? normalizePlatform(platformOf(wanted)) : target;
  const finished = finishedConfig(onPlatform(wanted, platform));
  return { platform, definition: definitionOf(build.state), epoch: build.scope.epoch, config: finished };
}

function listOf(names: Iterable<string>): NameList | undefined {
  let list: NameList | undefined;
  for (const name of names) list = { name, previous: list };
  return list;
}
