import fs from "node:fs";
import { canonicalJson, digestOf, EngineError, hexOf } from "../base/index.js";
import type { Emulation, Exit, StepDevices, StepMount, StepProcess } from "../executor/index.js";
import type { ExecMount, ExecOp, OpNode } from "../llb/index.js";
import type { Tree, Workspace } from "../snapshot/index.js";
import type { CacheMap, InputKey, Op, OpContext } from "../solver/index.js";
import { type ImagePlatform, type OpEnvironment, requireEntitlement } from "./environment.js";
import { type PreparedMount, StepMounts } from "./exec-mounts.js";
import { ensureTree } from "./pull.js";
import { createResult, type FileResult } from "./result.js";
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
    exec: (inputs, context) => runStep(node.op, inputs, { environment, context, emulation }),
  };
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
  return { definition: digestOf(canonicalJson(preimage)), preimage, inputs, kept: true };
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

interface Step {
  readonly environment: OpEnvironment;
  readonly context: OpContext;
  readonly emulation: Emulation;
}

async function runStep(op: ExecOp, inputs: readonly FileResult[], step: Step): Promise<readonly FileResult[]> {
  const { environment, context } = step;
  const { root, others } = splitMounts(op);
  const base: Tree = root.input < 0 ? [] : inputOf(inputs, root.input).tree;
  await ensureTree(base, environment, context);
  const workspace = await environment.layers.create(base);
  let kept = false;
  try {
    await using mounts = new StepMounts(inputs, step);
    const prepared: PreparedMount[] = [];
    for (const mount of lockOrder(others)) prepared.push(...(await mounts.prepare(mount)));
    const user = await environment.plane.run("resolveUser", { tree: base, user: op.meta.user });
    const devices = await devicesOf(op, user, environment);
    prepared.push(...devices.mounts);
    const process = processOf(
      op,
      prepared.map(({ mount }) => mount),
      { user, devices, secretEnv: await mounts.secretEnvironment(op.secretEnv ?? []) },
      environment,
    );
    // A place among the running steps is taken last: nobody holds one while waiting for the lock of a cache mount.
    const run = () => runIn({ workspace, process, kinds: kindsOf(prepared) }, op, step);
    await environment.steps.run(run, { signal: context.signal });
    const trees = await mounts.commitOutputs();
    const tree = await environment.layers.commit(workspace, { signal: context.signal });
    kept = true;
    if (root.output >= 0) trees.set(root.output, tree);
    return [...trees]
      .sort(([a], [b]) => a - b)
      .map(([, each]) => createResult({ kind: "tree", tree: each }, environment));
  } finally {
    if (!kept) await environment.layers.abandon(workspace);
  }
}

function splitMounts(op: ExecOp): { readonly root: ExecMount; readonly others: readonly ExecMount[] } {
  const root = op.mounts.find(({ dest }) => dest === "/");
  if (!root) throw new EngineError("invalid", "an exec op has no root file system");
  const others = op.mounts.filter((mount) => mount !== root);
  // Runtimes take `/a/` and `/a` for two places.
  return { root, others: others.map((mount) => ({ ...mount, dest: mount.dest.replace(/(?<=.)\/+$/, "") })) };
}

/** What the devices that the step names bring with them. */
async function devicesOf(
  { devices = [] }: ExecOp,
  user: StepProcess["user"],
  { cdiDirectories: directories, entitlements }: OpEnvironment,
): Promise<StepDevices> {
  const { devicesFor } = await import("../executor/index.js");
  return devicesFor(devices, { directories, entitlements, user });
}

interface Prepared {
  readonly user: StepProcess["user"];
  readonly devices: StepDevices;
  readonly secretEnv: readonly string[];
}

function processOf(
  op: ExecOp,
  mounts: readonly StepMount[],
  { user, devices, secretEnv }: Prepared,
  environment: OpEnvironment,
): StepProcess {
  const { meta } = op;
  const proxies = meta.proxyEnv ?? {};
  return {
    args: meta.args,
    env: mergedEnv([
      ...meta.env,
      ...Object.entries(proxies).map(([key, value]) => `${key}=${value}`),
      ...secretEnv,
      ...devices.env,
    ]),
    cwd: meta.cwd,
    user: { ...user, groups: [...user.groups, ...devices.groups] },
    mounts,
    hostname: meta.hostname ?? DEFAULT_HOSTNAME,
    network: op.network,
    security: op.security,
    extraHosts: meta.extraHosts ?? [],
    ulimits: meta.ulimits ?? [],
    cgroupParent: meta.cgroupParent,
    resources: environment.resources,
    devices,
  };
}

/** ENTRIES (`KEY=value`) with each key once, at its first place with its last value: which of two a program sees is its own affair. */
function mergedEnv(entries: readonly string[]): readonly string[] {
  return [...new Map(entries.map((entry) => [entry.split("=", 1)[0], entry])).values()];
}

const DEFAULT_HOSTNAME = "buildkitsandbox";

/** Cache mounts first, by their ids: two steps that lock the same ones never wait for each other. */
function lockOrder(mounts: readonly ExecMount[]): readonly ExecMount[] {
  const rank = (mount: ExecMount): string => (mount.cache ? `0${mount.cache.id}` : "1");
  return [...mounts].sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
}

function kindsOf(mounts: readonly PreparedMount[]): ReadonlyMap<string, "dir" | "file"> {
  return new Map(mounts.map(({ mount, kind }) => [mount.destination, kind]));
}

interface StepRun {
  readonly workspace: Workspace;
  readonly process: StepProcess;
  /** What each mount has to be mounted on. */
  readonly kinds: ReadonlyMap<string, "dir" | "file">;
}

const KERNEL_MOUNTPOINTS = ["/proc", "/dev", "/sys"].map((path) => ({ path, kind: "dir" }) as const);

/** Runs the process on the workspace; what had to be made to mount on is taken away again where the step left it empty. */
async function runIn(
  { workspace, process, kinds }: StepRun,
  op: ExecOp,
  { environment, context, emulation }: Step,
): Promise<void> {
  const { plane, executor, clock } = environment;
  const { exitMessage, stubPaths } = await import("../executor/index.js");
  // A temporary file system gets the mode of the directory it covers; where there was none, it is everybody's.
  const temporary = new Set(process.mounts.flatMap(({ kind, destination }) => (kind === "tmpfs" ? destination : [])));
  const paths = stubPaths(process).map((path) => ({
    path,
    kind: kinds.get(path) ?? ("file" as const),
    ...(temporary.has(path) ? { mode: 0o1777 } : {}),
  }));
  const rootfs = await plane.control("mount", { tree: workspace.parents, upper: workspace.layer });
  try {
    const root = { kind: "mounted", path: rootfs } as const;
    // A working directory that is gone comes back, as the user's own. What the kernel's file systems are mounted on stays as well, and
    // runtimes differ in how they make it.
    const kept = [{ path: process.cwd, kind: "dir", owner: process.user } as const, ...KERNEL_MOUNTPOINTS];
    await plane.control("makeMountpoints", { root, paths: kept });
    const made = await plane.control("makeMountpoints", { root, paths });
    using log = new StepLog(environment.dirs.logs, logName(environment, context));
    const exit = await executor.run(process, rootfs, {
      signal: context.signal,
      onOutput: (fd, chunk) => {
        log.write(chunk);
        context.progress.emit({ type: "log", vertex: context.vertex.digest, at: clock.now(), fd, chunk });
      },
    });
    await plane.control("removeMountpoints", { root, made });
    const valid = op.meta.validExitCodes ?? [0];
    if (exit.kind === "exited" && valid.includes(exit.code)) return;
    const reason = exit.kind === "exited" && exit.reason ? `: ${exit.reason}` : "";
    const code = exit.kind === "exited" ? exit.code : undefined;
    const advice = await adviceOn(exit, { environment, emulation }, log);
    throw new StepFailure(exitMessage(process.args, exit) + reason, code, advice);
  } finally {
    await plane.control("unmount", { path: rootfs });
  }
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
/** Renderers show so many lines when a step fails. */
const LINES_SHOWN = 30;

/** Why it may have ended so, and where all that it said is. */
async function adviceOn(
  exit: Exit,
  { environment: { dirs }, emulation }: Pick<Step, "environment" | "emulation">,
  log: StepLog,
): Promise<{ readonly hint?: string }> {
  const { emulationHint } = await import("../executor/index.js");
  const memory = exit.kind === "exited" && exit.outOfMemory ? MEMORY_HINT : undefined;
  const whole = log.isLongerThan(LINES_SHOWN) ? `all that the step has said: ${log.path}` : undefined;
  const hints = [memory ?? diskHint(dirs.root) ?? emulationHint(emulation), whole].filter((hint) => hint !== undefined);
  return hints.length === 0 ? {} : { hint: hints.join("\n") };
}

function diskHint(root: string): string | undefined {
  const { bavail, bsize } = fs.statfsSync(root);
  if (bavail * bsize > FULL_DISK_BYTES) return undefined;
  return `the disk of the state directory ${root} is full: make room there (ashlar prune --all), or name another place with --root`;
}

function inputOf(inputs: readonly FileResult[], index: number): FileResult {
  const result = inputs[index];
  if (!result) throw new EngineError("internal", `an exec op has no input ${index}`);
  return result;
}
