import { type AbortOptions, EngineError } from "../../base/index.js";
import type { SourceOp } from "../../llb/index.js";
import type { Platform } from "../../oci/index.js";
import type { FrontendBridge, FrontendRequest } from "../frontend.js";
import type { CopyInstruction, DockerfileNode, StageNode } from "./ast.js";
import { type ContextNames, MAIN_CONTEXT } from "./contexts.js";
import { setVariable, type Variables } from "./environment.js";
import { expandWord } from "./expand.js";
import { gitSourceOp, parseGitSource } from "./git-source.js";
import { httpSource, isHttpAddress } from "./http-source.js";
import { mistake, placed } from "./place.js";

/** The build argument that fixes the times of what a build makes. */
export const EPOCH_ARG = "SOURCE_DATE_EPOCH";

/** What the time may be taken from. */
export interface EpochScope {
  readonly request: FrontendRequest;
  readonly dockerfile: DockerfileNode;
  readonly contexts: ContextNames;
  /** Platform arguments and the ARGs ahead of the first FROM. */
  readonly globals: ReadonlyMap<string, string>;
  readonly platform: Platform;
  readonly bridge: FrontendBridge;
}

/**
 * The time that SOURCE_DATE_EPOCH fixes: a number of seconds, or the time of what VALUE names, which is the main context, a named
 * context, or a stage that does nothing but ADD one thing from the network. Undefined where there is none: a directory or an image
 * has no time of its own. Throws `invalid` for a value that means nothing, and what the bridge throws.
 */
export async function sourceDateEpoch(
  value: string,
  scope: EpochScope,
  options: AbortOptions,
): Promise<Date | undefined> {
  if (value === "") return undefined;
  const time = /^[+-]?\d+$/.test(value) ? fixedTime(value) : await namedTime(value, scope, options);
  if (time === undefined || isWritable(time)) return time;
  throw new EngineError("invalid", `invalid ${EPOCH_ARG}: ${value}: the year can't be written in an image`);
}

/** TIME as the argument has it, in seconds. */
export function epochText(time: Date): string {
  return String(Math.floor(time.getTime() / MS_PER_SECOND));
}

const MS_PER_SECOND = 1000;
/** The first time that RFC 3339 can't write. */
const YEAR_10000 = Date.UTC(10_000, 0, 1);
const YEAR_0 = Date.parse("0000-01-01T00:00:00Z");

function isWritable(time: Date): boolean {
  return time.getTime() >= YEAR_0 && time.getTime() < YEAR_10000;
}

function fixedTime(seconds: string): Date {
  return new Date(Number(seconds) * MS_PER_SECOND);
}

async function namedTime(value: string, scope: EpochScope, options: AbortOptions): Promise<Date | undefined> {
  const { request, dockerfile, bridge } = scope;
  const named = value === MAIN_CONTEXT ? undefined : scope.contexts.find(value, scope.platform);
  if (value === MAIN_CONTEXT || named !== undefined) {
    const op = named === undefined ? request.mainContext?.op : opOf(named.context);
    return op === undefined ? undefined : await bridge.sourceTime(op, options);
  }
  const stage = dockerfile.stages.find(({ from }) => from.name?.text.toLowerCase() === value.toLowerCase());
  if (stage === undefined) throw new EngineError("invalid", `invalid ${EPOCH_ARG}: ${value}`);
  try {
    return await bridge.sourceTime(stageSource(stage, scope), options);
  } catch (error) {
    throw placed(error, { file: request.dockerfile.name, range: stage.from.range });
  }
}

function opOf(context: { readonly kind: string; readonly op?: SourceOp }): SourceOp | undefined {
  return context.kind === "source" ? context.op : undefined;
}

/** What the only ADD of a stage gets from the network. Throws for a stage that is anything else. */
function stageSource(stage: StageNode, scope: EpochScope): SourceOp {
  const variables: Variables = new Map(scope.globals);
  variables.delete(EPOCH_ARG);
  const expanded = (text: string) => {
    const result = expandWord(text, variables, scope.dockerfile.directives.escape);
    if (result.ok) return result.value;
    throw mistake(result.error, { file: scope.request.dockerfile.name, range: stage.from.range });
  };
  if (expanded(stage.from.image.text) !== "scratch") throw invalid("stage must use FROM scratch");
  let source: SourceOp | undefined;
  for (const instruction of stage.instructions) {
    if (instruction.kind === "arg") {
      for (const { key, value } of instruction.args) {
        const given = scope.request.buildArgs.get(key) ?? (value === undefined ? undefined : expanded(value));
        if (given !== undefined) setVariable(variables, key, given);
      }
    } else if (instruction.kind === "add") {
      if (source !== undefined) throw invalid("stage must contain exactly one remote ADD");
      source = addSource(instruction, expanded);
    } else {
      const what = `unsupported ${instruction.keyword.text} instruction`;
      throw invalid(`stage does not meet source-only requirements: ${what}`);
    }
  }
  if (source === undefined) throw invalid("stage must contain exactly one remote ADD");
  return source;
}

function addSource(add: CopyInstruction, expanded: (text: string) => string): SourceOp {
  const [only, ...others] = add.sources;
  if (only === undefined || others.length > 0 || add.heredocs.length > 0) {
    throw invalid("stage must contain exactly one remote ADD source");
  }
  const address = expanded(only.text);
  const checksum = add.checksum ? expanded(add.checksum) : undefined;
  const git = parseGitSource(address);
  if (git !== undefined) return gitSourceOp(git, { keepGitDir: add.keepGitDir, checksum });
  if (isHttpAddress(address)) return httpSource(address, checksum).op;
  throw invalid("stage source must be a single HTTP(S) or Git ADD");
}

function invalid(what: string): EngineError {
  return new EngineError("invalid", `${EPOCH_ARG} ${what}`);
}
