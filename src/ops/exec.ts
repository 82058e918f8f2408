import fs from "node:fs";
import { canonicalJson, digestOf, hexOf } from "../base/index.js";
import type { Exit } from "../executor/index.js";
import type { ExecMount, ExecOp, OpNode } from "../llb/index.js";
import type { CacheMap, InputKey, Op, OpContext } from "../solver/index.js";
import { type ImagePlatform, type OpEnvironment, requireEntitlement } from "./environment.js";
import { type Step, StepContainer } from "./exec-container.js";
import type { FileResult } from "./result.js";
import { contentInput, everything } from "./selection.js";
import { StepFailure } from "./step-failure.js";
import { StepLog } from "./step-logs.js";

type ExecNode = OpNode & { readonly op: ExecOp };

/** The op of RUN: a process on a root file system, in a layer of its own. HOST is this machine. */
export function createExecOp(node: ExecNode, host: ImagePlatform, environment: OpEnvironment): Op<FileResult> {
  const emulation = { host, platform: node.platform ?? host };
  return {
    async cacheMap() {
      await checkEntitlements(node.op, environment);
      return cacheMapOf(node, environment);
    },
    exec(inputs, context) {
      const settled = () => running;
      const running = runStep(node.op, inputs, { environment, context, emulation, settled });
      return running;
    },
  };
}

/**
 * The container that the step NODE would run in, to run something else there; the caller disposes of it. Throws EngineError `denied` for
 * what the caller has not allowed.
 */
export async function openContainer(
  node: ExecNode,
  inputs: readonly FileResult[],
  step: Omit<Step, "emulation">,
): Promise<StepContainer> {
  await checkEntitlements(node.op, step.environment);
  return await StepContainer.open(node.op, inputs, step);
}

/** Refuses what the caller has not allowed, whether it would run or is in the cache. */
async function checkEntitlements(
  { network, security, devices = [] }: ExecOp,
  environment: OpEnvironment,
): Promise<void> {
  if (network === "host") requireEntitlement(environment, "network.host");
  if (security === "insecure") requireEntitlement(environment, "security.insecure");
  if (devices.length === 0) return;
  const { checkDevices } = await import("../executor/index.js");
  const { cdiDirectories: directories, entitlements } = environment;
  await checkDevices(devices, { directories, entitlements });
}

/**
 * The root counts by its key; what is only read counts by the content selected. Addresses of extra hosts, proxies, and which
 * directory a cache mount gets change no result and are left out.
 */
function cacheMapOf({ op, inputs: edges, platform }: ExecNode, environment: OpEnvironment): CacheMap<FileResult> {
  const byContent = (index: number): boolean => {
    const uses = op.mounts.filter((mount) => mount.input === index);
    return uses.length > 0 && uses.every(countsByContent);
  };
  const inputs = edges.map((_, index): InputKey<FileResult> => {
    if (!byContent(index)) return {};
    const uses = op.mounts.filter((mount) => mount.input === index);
    return contentInput(
      uses.map((mount) => ({ ...everything, path: mount.selector ?? "/", followSymlink: true })),
      environment,
    );
  });
  const { proxyEnv: _, extraHosts, ...meta } = op.meta;
  const identity = {
    ...op,
    meta: { ...meta, ...(extraHosts ? { extraHosts: extraHosts.map(({ host }) => host) } : {}) },
    mounts: op.mounts.map((mount) => identityOf(mount, byContent(mount.input))),
  };
  const preimage = { exec: identity, platform };
  return { definition: digestOf(canonicalJson(preimage)), preimage, inputs, outputs: outputsOf(op), kept: true };
}

/** As many results as there are roots and mounts to write that are outputs. */
function outputsOf({ mounts }: ExecOp): number {
  const root = mounts.find(({ dest }) => dest === "/");
  const kept = mounts.filter(({ type, output, readonly }) => type === "bind" && output >= 0 && !readonly);
  return new Set([root, ...kept].flatMap((mount) => (mount && mount.output >= 0 ? [mount.output] : []))).size;
}

function countsByContent(mount: ExecMount): boolean {
  if (mount.contentCache === "off" || mount.type === "cache") return false;
  return mount.contentCache === "on" || (mount.type === "bind" && mount.output < 0 && mount.dest !== "/");
}

function identityOf(mount: ExecMount, byContent: boolean): unknown {
  const { selector, cache, ...rest } = mount;
  if (cache) return { ...rest, input: -1 };
  return byContent ? rest : { ...rest, selector };
}

async function runStep(
  op: ExecOp,
  inputs: readonly FileResult[],
  step: InspectableStep,
): Promise<readonly FileResult[]> {
  const { environment, context } = step;
  await using container = await StepContainer.open(op, inputs, step);
  // A place among the running steps is taken last: nobody holds one while waiting for the lock of a cache mount.
  const run = () => container.inside((rootfs) => runIn(rootfs, { container, op, step }));
  const failure = await environment.steps.run(run, { signal: context.signal });
  if (failure) throw failure;
  return await container.commit();
}

interface InspectableStep extends Step {
  /** The end of the whole step. */
  readonly settled: () => Promise<unknown>;
}

interface StepRun {
  readonly container: StepContainer;
  readonly op: ExecOp;
  readonly step: InspectableStep;
}

/** Runs the process; a failure is given back, when whoever wants to look at what it left has done so. */
async function runIn(rootfs: string, { container, op, step }: StepRun): Promise<StepFailure | undefined> {
  const { environment, context, emulation, settled } = step;
  const { executor, clock, inspection } = environment;
  const { process } = container;
  const { exitMessage } = await import("../executor/index.js");
  using log = new StepLog(environment.dirs.logs, logName(environment, context));
  const exit = await executor.run(process, rootfs, {
    signal: context.signal,
    onOutput: (fd, chunk) => {
      log.write(chunk);
      context.progress.emit({ type: "log", vertex: context.vertex.digest, at: clock.now(), fd, chunk });
    },
  });
  const valid = op.meta.validExitCodes ?? [0];
  if (exit.kind === "exited" && valid.includes(exit.code)) return undefined;
  const reason = exit.kind === "exited" && exit.reason ? `: ${exit.reason}` : "";
  const code = exit.kind === "exited" ? exit.code : undefined;
  const advice = await adviceOn(exit, { environment, emulation }, log);
  const failure = new StepFailure(exitMessage(process.args, exit) + reason, code, advice);
  const standing = { vertex: context.vertex, failure, process, rootfs, environment };
  await inspection?.show(standing, { signal: context.signal, settled: settled() });
  return failure;
}

const MEMORY_HINT =
  "the kernel has killed a process of the step for want of memory: give it more (--resource memory=…), or run fewer steps at once (--max-parallelism)";
/** With less room than this a failed step most likely failed for want of it. */
const FULL_DISK_BYTES = 1 << 20;

function logName({ buildId }: OpEnvironment, { vertex }: OpContext): string {
  return `${buildId.slice(0, LOG_NAME_DIGITS)}-${hexOf(vertex.digest).slice(0, LOG_NAME_DIGITS)}`;
}

/** Of the build's id and of the vertex's digest: enough to tell a few hundred logs apart. */
const LOG_NAME_DIGITS = 8;
/** Renderers show at least so much of what a step has said when it fails, if there is that much. */
const SHOWN = { lines: 30, bytes: 16 << 10 };

/** Why it may have ended so, and where all that it said is. */
async function adviceOn(
  exit: Exit,
  { environment: { dirs }, emulation }: Pick<Step, "environment" | "emulation">,
  log: StepLog,
): Promise<{ readonly hint?: string }> {
  const { emulationHint } = await import("../executor/index.js");
  const memory = exit.kind === "exited" && exit.outOfMemory ? MEMORY_HINT : undefined;
  const whole = log.isLongerThan(SHOWN) ? `all that the step has said: ${log.path}` : undefined;
  const hints = [memory ?? diskHint(dirs.root) ?? emulationHint(emulation), whole].filter((hint) => hint !== undefined);
  return hints.length === 0 ? {} : { hint: hints.join("\n") };
}

function diskHint(root: string): string | undefined {
  const { bavail, bsize } = fs.statfsSync(root);
  if (bavail * bsize > FULL_DISK_BYTES) return undefined;
  return `the disk of the state directory ${root} is full: make room there (ashlar prune --all), or name another place with --root`;
}
