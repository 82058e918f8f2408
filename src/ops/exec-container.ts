import { EngineError } from "../base/index.js";
import type { Emulation, StepDevices, StepMount, StepProcess } from "../executor/index.js";
import type { ExecMount, ExecOp } from "../llb/index.js";
import type { Tree, Workspace } from "../snapshot/index.js";
import type { OpContext } from "../solver/index.js";
import type { OpEnvironment } from "./environment.js";
import { type PreparedMount, StepMounts } from "./exec-mounts.js";
import { ensureTree } from "./pull.js";
import { createResult, type FileResult } from "./result.js";

/** A step that is run. */
export interface Step {
  readonly environment: OpEnvironment;
  readonly context: OpContext;
  readonly emulation: Emulation;
}

type StepScope = Pick<Step, "environment" | "context">;

/**
 * Where the process of a step runs: its file system, with a layer of its own for what is changed, its mounts, and all else that it is
 * given. Nothing is left of it when it is disposed of but what was committed.
 */
export class StepContainer implements AsyncDisposable {
  readonly #parts: Parts;
  #process: StepProcess;
  #kept = false;

  private constructor(parts: Parts, process: StepProcess) {
    this.#parts = parts;
    this.#process = process;
  }

  get process(): StepProcess {
    return this.#process;
  }

  /** Makes ready what OP asks for on its INPUTS; waits for cache mounts that others have locked. */
  static async open(op: ExecOp, inputs: readonly FileResult[], step: StepScope): Promise<StepContainer> {
    const { environment, context } = step;
    const { root, others } = splitMounts(op);
    const base: Tree = root.input < 0 ? [] : inputOf(inputs, root.input).tree;
    await ensureTree(base, environment, context);
    const workspace = await environment.layers.create(base);
    const mounts = new StepMounts(inputs, step);
    try {
      const prepared: PreparedMount[] = [];
      for (const mount of lockOrder(others)) prepared.push(...(await mounts.prepare(mount)));
      const user = await environment.plane.run("resolveUser", { tree: base, user: op.meta.user });
      const devices = await devicesOf(op, user, environment);
      prepared.push(...devices.mounts);
      const lent = { user, devices, secretEnv: await mounts.secretEnvironment(op.secretEnv ?? []) };
      const process = processOf(
        op,
        prepared.map(({ mount }) => mount),
        lent,
        environment,
      );
      const kinds = new Map(prepared.map(({ mount, kind }) => [mount.destination, kind]));
      return new StepContainer({ environment, context, root, workspace, mounts, kinds }, process);
    } catch (error) {
      await mounts[Symbol.asyncDispose]();
      await environment.layers.abandon(workspace);
      throw error;
    }
  }

  /** Calls ACT with the path of the mounted root; what had to be made to mount on is taken away afterwards where it is still empty. */
  async inside<T>(act: (rootfs: string) => Promise<T>): Promise<T> {
    const { environment, workspace } = this.#parts;
    const { plane } = environment;
    const rootfs = await plane.control("mount", { tree: workspace.parents, upper: workspace.layer });
    const mounted = [rootfs];
    try {
      const root = { kind: "mounted", path: rootfs } as const;
      const made = await this.#makeMountpoints(root);
      if (environment.inspection) await this.#shareTemporary(mounted);
      const done = await act(rootfs);
      await plane.control("removeMountpoints", { root, made });
      return done;
    } finally {
      for (const path of mounted.reverse()) await plane.control("unmount", { path });
    }
  }

  /** Makes what was changed the step's results, in the order of its outputs; to be called once, after `inside`. */
  async commit(): Promise<readonly FileResult[]> {
    const { environment, context, mounts, workspace, root } = this.#parts;
    const trees = await mounts.commitOutputs();
    const tree = await environment.layers.commit(workspace, { signal: context.signal });
    this.#kept = true;
    if (root.output >= 0) trees.set(root.output, tree);
    return [...trees]
      .sort(([a], [b]) => a - b)
      .map(([, each]) => createResult({ kind: "tree", tree: each }, environment));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { environment, mounts, workspace } = this.#parts;
    try {
      await mounts[Symbol.asyncDispose]();
    } finally {
      if (!this.#kept) await environment.layers.abandon(workspace);
    }
  }

  /** Makes the temporary file systems here, below MOUNTED, its first the root: else each process in the container got empty ones. */
  async #shareTemporary(mounted: string[]): Promise<void> {
    const [root = ""] = mounted;
    const mounts: StepMount[] = [];
    for (const mount of this.#process.mounts) {
      if (mount.kind === "tmpfs") {
        const { destination, sizeBytes, readonly = false, flags = [] } = mount;
        const wanted = { root, path: destination, sizeBytes };
        const source = await this.#parts.environment.plane.control("mountTemporary", wanted);
        mounted.push(source);
        mounts.push({ kind: "bind", source, destination, readonly, flags });
      } else mounts.push(mount);
    }
    this.#process = { ...this.#process, mounts };
  }

  async #makeMountpoints(root: { readonly kind: "mounted"; readonly path: string }): Promise<readonly string[]> {
    const { environment, kinds } = this.#parts;
    const { process } = this;
    const { stubPaths } = await import("../executor/index.js");
    // A temporary file system gets the mode of the directory it covers; where there was none, it is everybody's.
    const temporary = new Set(process.mounts.flatMap(({ kind, destination }) => (kind === "tmpfs" ? destination : [])));
    const paths = stubPaths(process).map((path) => ({
      path,
      kind: kinds.get(path) ?? ("file" as const),
      ...(temporary.has(path) ? { mode: 0o1777 } : {}),
    }));
    // A working directory that is gone comes back, as the user's own. What the kernel's file systems are mounted on stays as well, and
    // runtimes differ in how they make it.
    const kept = [{ path: process.cwd, kind: "dir", owner: process.user } as const, ...KERNEL_MOUNTPOINTS];
    await environment.plane.control("makeMountpoints", { root, paths: kept });
    return await environment.plane.control("makeMountpoints", { root, paths });
  }
}

interface Parts extends StepScope {
  readonly root: ExecMount;
  readonly workspace: Workspace;
  readonly mounts: StepMounts;
  /** What each mount has to be mounted on. */
  readonly kinds: ReadonlyMap<string, "dir" | "file">;
}

const KERNEL_MOUNTPOINTS = ["/proc", "/dev", "/sys"].map((path) => ({ path, kind: "dir" }) as const);

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

interface Lent {
  readonly user: StepProcess["user"];
  readonly devices: StepDevices;
  readonly secretEnv: readonly string[];
}

function processOf(
  op: ExecOp,
  mounts: readonly StepMount[],
  { user, devices, secretEnv }: Lent,
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
export function mergedEnv(entries: readonly string[]): readonly string[] {
  return [...new Map(entries.map((entry) => [entry.split("=", 1)[0], entry])).values()];
}

const DEFAULT_HOSTNAME = "buildkitsandbox";

/** Cache mounts first, by their ids: two steps that lock the same ones never wait for each other. */
function lockOrder(mounts: readonly ExecMount[]): readonly ExecMount[] {
  const rank = (mount: ExecMount): string => (mount.cache ? `0${mount.cache.id}` : "1");
  return [...mounts].sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
}

function inputOf(inputs: readonly FileResult[], index: number): FileResult {
  const result = inputs[index];
  if (!result) throw new EngineError("internal", `an exec op has no input ${index}`);
  return result;
}
