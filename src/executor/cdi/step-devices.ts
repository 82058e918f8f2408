import fs from "node:fs";
import { deviceNumbers, EngineError, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT } from "../../base/index.js";
import type { StepMount, StepMountFlag } from "../executor.js";
import type { DeviceNode } from "../insecure-devices.js";
import type { CdiDevice, CdiDeviceNode, CdiEdits, CdiHook, CdiMount } from "./spec.js";

/** All that a step gets with its devices. */
export interface StepDevices {
  readonly env: readonly string[];
  readonly nodes: readonly StepDeviceNode[];
  readonly mounts: readonly DeviceMount[];
  readonly hooks: readonly StepHook[];
  readonly groups: readonly number[];
}

export interface StepDeviceNode extends DeviceNode {
  /** Where it is on the machine. */
  readonly hostPath: string;
  /** What the step may do: read, write, make nodes of it (`rwm`). */
  readonly access: string;
}

export interface DeviceMount {
  readonly mount: StepMount;
  readonly kind: "dir" | "file";
}

/** A program of the machine that the runtime runs beside the step (runtime-spec, config.md, POSIX-platform Hooks). */
export type StepHook = CdiHook;

/** What DEVICES mean for a step of USER: each device's edits, and those of its file once. Throws `unavailable` for what is not there. */
export function stepDevices(
  devices: readonly CdiDevice[],
  user: { readonly uid: number; readonly gid: number },
): StepDevices {
  const edits = [...new Set(devices.flatMap(({ shared, edits: own }) => [shared, own]))];
  const all = <Key extends keyof CdiEdits>(key: Key) => edits.flatMap((each) => each[key] as CdiEdits[Key][number][]);
  return {
    env: lastOf(all("env"), (entry) => entry.split("=", 1)[0] ?? ""),
    nodes: lastOf(all("deviceNodes"), ({ path }) => path).map((node) => nodeOf(node, user)),
    mounts: lastOf(all("mounts"), ({ containerPath }) => containerPath).map(mountOf),
    hooks: all("hooks"),
    groups: [...new Set(all("additionalGids"))],
  };
}

/** Of ITEMS with one key the last. */
function lastOf<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

const NODE_MODE = 0o666;

function nodeOf(node: CdiDeviceNode, user: { readonly uid: number; readonly gid: number }): StepDeviceNode {
  const { path, hostPath = path, fileMode = NODE_MODE, permissions = "rwm", uid = user.uid, gid = user.gid } = node;
  const stat = fs.lstatSync(hostPath, { throwIfNoEntry: false });
  const common = { path, hostPath, fileMode, uid, gid, access: permissions };
  const { type = "", major, minor } = node;
  if (type !== "" && (type === "p" || major !== 0 || minor !== 0))
    return { ...common, type: type === "u" ? "c" : type, major, minor };
  const kind = stat && KINDS.get(stat.mode & S_IFMT);
  if (!stat || !kind) throw new EngineError("unavailable", `there is no device ${hostPath} on this machine`);
  return { ...common, type: kind, ...deviceNumbers(stat.rdev) };
}

const KINDS: ReadonlyMap<number, DeviceNode["type"]> = new Map([
  [S_IFBLK, "b"],
  [S_IFCHR, "c"],
  [S_IFIFO, "p"],
]);

const FLAGS: ReadonlySet<string> = new Set<StepMountFlag>(["nosuid", "nodev", "noexec"]);
/** What a bind mount is anyway here, or what nobody in the step can see. */
const SILENT = /^(rw|r?bind|r?(private|slave|shared|unbindable))$/;

function mountOf({ hostPath, containerPath, options, type = "bind" }: CdiMount): DeviceMount {
  const unknown = options.find((option) => option !== "ro" && !FLAGS.has(option) && !SILENT.test(option));
  if (unknown !== undefined || !["", "none", "bind"].includes(type)) {
    const what = unknown === undefined ? `type ${type}` : `option ${unknown}`;
    throw new EngineError("unsupported", `a device mounts ${hostPath} with the ${what}, which is not supported`);
  }
  const stat = fs.statSync(hostPath, { throwIfNoEntry: false });
  if (!stat) throw new EngineError("unavailable", `a device mounts ${hostPath}, which is not there`);
  const flags = options.filter((option): option is StepMountFlag => FLAGS.has(option));
  const readonly = options.includes("ro");
  return {
    mount: { kind: "bind", source: hostPath, destination: containerPath, readonly, flags },
    kind: stat.isDirectory() ? "dir" : "file",
  };
}
