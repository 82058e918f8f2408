import { type ExecOp, fileState, type MountSpec, type State, scratch } from "../../llb/index.js";
import type { RunInstruction } from "./ast.js";
import { expandWord } from "./expand.js";
import type { MountOwner, ResolvedMount, SecretMount, SshMount } from "./mount.js";
import { resolveMountOptions } from "./mount.js";
import { originFiles } from "./origins.js";
import { destination, rooted } from "./paths.js";
import { mistake } from "./place.js";
import type { SourceFiles } from "./source-states.js";
import { invalid, noteUndefined, type StageBuild, type StepScope, within } from "./stage-build.js";

/** What the mounts of a RUN add to its exec. */
export interface RunMounts {
  readonly mounts: readonly MountSpec[];
  readonly secretEnv: NonNullable<ExecOp["secretEnv"]>;
  /** The first ssh socket, which SSH_AUTH_SOCK names. */
  readonly sshSocket: string | undefined;
}

/** The mounts of RUN. Throws `invalid` for options that mean nothing. */
export function convertMounts(build: StageBuild, step: StepScope<RunInstruction>): RunMounts {
  const resolved = resolvedMounts(build, step.instruction);
  const mounts: MountSpec[] = [];
  const secrets = resolved.filter((mount) => mount.type === "secret");
  const sockets: MountSpec[] = [];
  const add = (mount: ResolvedMount, index: number) => {
    switch (mount.type) {
      case "secret":
        if (mount.target !== undefined) mounts.push(secretMount(mount, mountTarget(build, mount.target)));
        break;
      case "ssh":
        sockets.push(sshMount(mount, mountTarget(build, mount.target ?? `${SSH_SOCKET}.${sockets.length}`)));
        break;
      default:
        mounts.push(fileMount(build, step, mount, index));
    }
  };
  for (const [index, mount] of resolved.entries()) {
    const culprit = step.instruction.mounts[index]?.flag.range;
    within(build, step.instruction, culprit, () => add(mount, index));
  }
  const secretEnv = secrets.flatMap(({ env, id, required }) =>
    env === undefined ? [] : [{ id, name: env, optional: !required }],
  );
  return { mounts: [...mounts, ...sockets], secretEnv, sshSocket: sockets[0]?.mount.dest };
}

const CACHE_NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS";
/** Where a cache that has an owner lies in the file system that is made for it. */
const OWNED_CACHE = "/cache";
/** The op knows no setuid, setgid and sticky bits. */
const MKDIR_MODE_MASK = 0o777;
const SSH_SOCKET = "/run/buildkit/ssh_agent";

type FileMount = Exclude<ResolvedMount, SecretMount | SshMount>;

function resolvedMounts(build: StageBuild, instruction: RunInstruction): ResolvedMount[] {
  return instruction.mounts.map((mount) => {
    const result = resolveMountOptions(mount, (text) => {
      const expansion = expandWord(text, build.variables, build.scope.escape);
      noteUndefined(build, instruction, expansion);
      return expansion;
    });
    if (result.ok) {
      build.facts.mounts.push({ instruction, mount: result.mount });
      return result.mount;
    }
    const { name } = build.scope.request.dockerfile;
    const place = { file: name, range: instruction.range, culprit: result.culprit ?? mount.flag.range };
    throw mistake(result.error, place, result.suggestion);
  });
}

function fileMount(build: StageBuild, step: StepScope, mount: FileMount, index: number): MountSpec {
  const dest = mountTarget(build, mount.target);
  const { readOnly: readonly } = mount;
  const files = mountSource(build, step, mount, index);
  // What a tmpfs is said to come from has to be there, though nothing is taken from it.
  if (mount.type === "tmpfs") {
    return { from: scratch, mount: { dest, readonly, type: "tmpfs", tmpfs: { sizeBytes: mount.sizeBytes ?? 0 } } };
  }
  const source = rooted(mount.source);
  files.used.add(source);
  const selector = source === "/" ? undefined : source;
  if (mount.type === "bind") return { from: files.state, mount: { dest, readonly, type: "bind", selector } };
  const namespace = build.scope.buildArgs.get(CACHE_NAMESPACE) ?? "";
  const cache = { id: `${namespace}/${mount.id}`, sharing: mount.sharing };
  const isOwned = source === "/" && mount.owner !== undefined;
  const from = isOwned ? ownedCache(files.state, mount.owner) : files.state;
  return { from, mount: { dest, readonly, type: "cache", selector: isOwned ? OWNED_CACHE : selector, cache } };
}

function mountSource(build: StageBuild, step: StepScope, mount: FileMount, index: number): SourceFiles {
  const origin = step.sources[index];
  if (origin !== undefined) {
    const late = (label: string) =>
      `cannot mount from stage ${JSON.stringify(label)} to ${JSON.stringify(mount.target)}, stage needs to be defined before current command`;
    return originFiles(build, origin, late);
  }
  return mount.type === "bind" ? build.scope.sources.context : { state: scratch, used: { add: () => undefined } };
}

function mountTarget(build: StageBuild, target: string): string {
  const dest = rooted(destination(build.config.config.WorkingDir, target));
  if (dest === "/") throw invalid('invalid mount target "/"');
  return dest;
}

function ownedCache(from: State, { uid, gid, mode }: MountOwner): State {
  const owner = { user: uid, group: gid };
  const metadata = { name: "[internal] setting cache mount permissions" };
  const permissions = mode & MKDIR_MODE_MASK;
  return fileState(
    from,
    [{ owner, action: { kind: "mkdir", path: OWNED_CACHE, mode: permissions, makeParents: false, timestamp: -1 } }],
    { metadata },
  );
}

function secretMount({ id, required, owner }: SecretMount, dest: string): MountSpec {
  const secret = { id, ...owner, optional: !required };
  return { from: scratch, mount: { type: "secret", dest, readonly: false, secret } };
}

function sshMount({ id, required, owner }: SshMount, dest: string): MountSpec {
  const ssh = { id, ...owner, optional: !required };
  return { from: scratch, mount: { type: "ssh", dest, readonly: false, ssh } };
}
