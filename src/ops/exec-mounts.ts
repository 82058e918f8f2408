import { type Digest, EngineError, Scope } from "../base/index.js";
import { type CacheMount, cacheMountKey } from "../cache/index.js";
import type { StepMount } from "../executor/index.js";
import type { ExecMount, ExecOp, SecretMount } from "../llb/index.js";
import { plainCopy, type Tree, type Workspace } from "../snapshot/index.js";
import type { OpContext } from "../solver/index.js";
import type { OpEnvironment } from "./environment.js";
import { ensureTree } from "./pull.js";
import type { FileResult } from "./result.js";
import { digestOfSelection, everything } from "./selection.js";

const DEFAULT_SSH: SecretMount = { id: "default", uid: 0, gid: 0, mode: 0o600, optional: false };
const EXECUTABLE_BITS = 0o111;

/** A mount of a step, and what it has to be mounted on. */
export interface PreparedMount {
  readonly mount: StepMount;
  readonly kind: "dir" | "file";
}

/** What a step mounts beside its root. Everything made for it is taken away when it is disposed of, the last first. */
export class StepMounts implements AsyncDisposable {
  readonly #inputs: readonly FileResult[];
  readonly #environment: OpEnvironment;
  readonly #context: OpContext;
  readonly #scope = new Scope();
  readonly #outputs = new Map<number, Workspace>();
  readonly #mounted: string[] = [];
  /** Cache mounts that the step has already: it would wait for itself, and what is private is so to the step. */
  readonly #held = new Map<Digest, CacheMount>();

  constructor(
    inputs: readonly FileResult[],
    { environment, context }: { environment: OpEnvironment; context: OpContext },
  ) {
    this.#inputs = inputs;
    this.#environment = environment;
    this.#context = context;
  }

  /** Makes ready what MOUNT names; nothing for an optional secret that is not there. */
  async prepare(mount: ExecMount): Promise<readonly PreparedMount[]> {
    switch (mount.type) {
      case "bind":
        return [await this.#bind(mount)];
      case "cache":
        return [await this.#cache(mount)];
      case "tmpfs": {
        const sizeBytes = mount.tmpfs?.sizeBytes;
        const tmpfs = {
          kind: "tmpfs",
          destination: mount.dest,
          flags: ["nosuid"],
          readonly: mount.readonly,
          ...(sizeBytes ? { sizeBytes } : {}),
        } as const;
        return [{ mount: tmpfs, kind: "dir" }];
      }
      case "secret":
        return this.#secret(mount);
      case "ssh":
        return this.#ssh(mount);
    }
  }

  /** `NAME=value` of each secret that goes into the environment. */
  async secretEnvironment(secrets: NonNullable<ExecOp["secretEnv"]>): Promise<readonly string[]> {
    const entries: string[] = [];
    for (const { id, name, optional } of secrets) {
      const value = await this.#environment.secrets.get(id);
      if (!value && !optional) throw missingSecret(id);
      entries.push(`${name}=${value ? Buffer.from(value).toString() : ""}`);
    }
    return entries;
  }

  /** Makes what was written to mounts that are results immutable; gives the trees by output. Nothing is mounted afterwards. */
  async commitOutputs(): Promise<Map<number, Tree>> {
    const trees = new Map<number, Tree>();
    for (const path of this.#mounted.splice(0).reverse()) await this.#environment.plane.control("unmount", { path });
    for (const [output, workspace] of this.#outputs) {
      trees.set(output, await this.#environment.layers.commit(workspace, { signal: this.#context.signal }));
      this.#outputs.delete(output);
    }
    return trees;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#mounted.splice(0).reverse()) await this.#environment.plane.control("unmount", { path });
    for (const workspace of this.#outputs.values()) await this.#environment.layers.abandon(workspace);
    await this.#scope[Symbol.asyncDispose]();
  }

  /** A file system to read, or one to write whose changes are a result or are thrown away. */
  async #bind(mount: ExecMount): Promise<PreparedMount> {
    const tree = await this.#treeOf(mount.input);
    const request = mount.readonly ? { tree } : { tree, upper: (await this.#writable(tree, mount.output)).layer };
    const root = await this.#environment.plane.control("mount", request);
    this.#mounted.push(root);
    return this.#select(root, mount);
  }

  async #writable(tree: Tree, output: number): Promise<Workspace> {
    const workspace = await this.#environment.layers.create(tree);
    if (output >= 0) this.#outputs.set(output, workspace);
    else this.#scope.defer(() => this.#environment.layers.abandon(workspace));
    return workspace;
  }

  async #select(root: string, mount: ExecMount): Promise<PreparedMount> {
    const selector = mount.selector ?? "/";
    const bound = await this.#environment.plane.control("bindSelected", {
      root,
      path: selector,
      readonly: mount.readonly,
    });
    this.#mounted.push(bound.path);
    return {
      mount: { kind: "bind", source: bound.path, destination: mount.dest, readonly: mount.readonly },
      kind: bound.kind,
    };
  }

  async #cache(mount: ExecMount): Promise<PreparedMount> {
    const { cacheMounts, plane } = this.#environment;
    const { id, sharing } = mount.cache ?? { id: mount.dest, sharing: "shared" as const };
    const tree = mount.input < 0 ? [] : await this.#treeOf(mount.input);
    const where = { environment: this.#environment, context: this.#context };
    const start = mount.input < 0 ? undefined : await digestOfSelection(this.#input(mount.input), everything, where);
    const options = { signal: this.#context.signal };
    const key = cacheMountKey(id, start);
    const held = this.#held.get(key);
    if (held) return this.#select(held.directory, mount);
    const acquired = await cacheMounts.acquire(
      {
        key,
        sharing,
        description: id,
        selector: mount.selector ?? "",
        fill: async (workspace) => {
          if (tree.length > 0)
            await plane.run("applyFileAction", { workspace, action: copyAll, source: { kind: "tree", tree } }, options);
        },
      },
      options,
    );
    this.#scope.use(acquired);
    this.#held.set(key, acquired);
    return this.#select(acquired.directory, mount);
  }

  async #secret(mount: ExecMount): Promise<readonly PreparedMount[]> {
    const secret: SecretMount = mount.secret ?? { id: mount.dest, uid: 0, gid: 0, mode: 0o400, optional: false };
    const data = await this.#environment.secrets.get(secret.id);
    if (!data) {
      if (secret.optional) return [];
      throw missingSecret(secret.id);
    }
    const { uid, gid, mode } = secret;
    const source = await this.#environment.plane.control("writeSecret", { data, uid, gid, mode });
    this.#scope.defer(() => this.#environment.plane.control("removeSecret", { path: source }));
    const flags = ["nosuid", "nodev", ...(mode & EXECUTABLE_BITS ? [] : ["noexec" as const])] as const;
    return [{ mount: { kind: "bind", source, destination: mount.dest, readonly: true, flags }, kind: "file" }];
  }

  /** A socket of the step's own, behind which the agent that the caller lends is served. */
  async #ssh(mount: ExecMount): Promise<readonly PreparedMount[]> {
    const { plane, ssh, temporary } = this.#environment;
    const { id, uid, gid, mode, optional }: SecretMount = mount.ssh ?? DEFAULT_SSH;
    const socket = await ssh.open(id, temporary("ssh"));
    if (!socket) {
      if (optional) return [];
      throw new EngineError("not-found", `no SSH key ${JSON.stringify(id)} forwarded from the client`, {
        hint: `lend the build one: --ssh ${id}, or --ssh ${id}=PATH of an agent's socket or a key`,
      });
    }
    this.#scope.use(socket);
    await plane.control("giveFile", { path: socket.path, uid, gid, mode });
    return [{ mount: { kind: "bind", source: socket.path, destination: mount.dest, readonly: false }, kind: "file" }];
  }

  /** The layers of an input; a local directory is first copied, as its owner root sees it, so that the step never sees it live. */
  async #treeOf(index: number): Promise<Tree> {
    if (index < 0) return [];
    const { source } = this.#input(index);
    if (source.kind === "tree") {
      await ensureTree(source.tree, this.#environment, this.#context);
      return source.tree;
    }
    const { layers, plane } = this.#environment;
    const workspace = await layers.create([]);
    try {
      const options = { signal: this.#context.signal, affinity: source.scanId };
      await plane.run("applyFileAction", { workspace, action: copyAll, source }, options);
      const tree = await layers.commit(workspace, options);
      this.#scope.defer(() => layers.remove(tree));
      return tree;
    } catch (error) {
      await layers.abandon(workspace);
      throw error;
    }
  }

  #input(index: number): FileResult {
    const result = this.#inputs[index];
    if (!result) throw new EngineError("internal", `an exec op has no input ${index}`);
    return result;
  }
}

/** Copies a whole file system as it is. */
const copyAll = plainCopy("/");

function missingSecret(id: string): EngineError {
  const hint = `lend it to the build with --secret id=${id},src=FILE or --secret id=${id},env=NAME`;
  return new EngineError("not-found", `secret ${id}: not found`, { hint });
}
