import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { EngineError, messageOf, systemCode } from "../base/index.js";
import { type StateDirs, stateDirs } from "../snapshot/index.js";

/** The state directory, made where it is missing, and how layers can be stacked there. */
export interface Ground {
  readonly dirs: StateDirs;
  readonly snapshotter: "overlay" | "native";
  /** Layers are copied although nobody asked for that. */
  readonly copies: boolean;
}

/** `f_type` of statfs(2) where locks, ownership or renames cannot be trusted. */
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
  [0x517b, "SMB"],
  [0x01021997, "9p"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
]);
const OVERLAY_FILE_SYSTEM = 0x794c7630;

/** The default state directory of a user. */
export function defaultRoot(
  uid: number,
  env: { readonly xdgDataHome: string | undefined; readonly home: string },
): string {
  if (uid === 0) return "/var/lib/ashlar";
  return path.join(env.xdgDataHome || path.join(env.home, ".local/share"), "ashlar");
}

/**
 * Looks at where the engine stands before it builds on it. Throws `unsupported` for a network file system, `denied` where ROOT can't be
 * written or the caller is not root.
 */
export function prepareGround(root: string, wanted: "overlay" | "native" | undefined): Ground {
  if (process.getuid?.() !== 0) {
    throw new EngineError("denied", "ashlar needs to be root to mount file systems and to run steps", {
      hint: "run it as root (sudo ashlar …); builds by ordinary users are not there yet",
    });
  }
  const dirs = stateDirs(path.resolve(root));
  makeDirectories(dirs);
  const type = fs.statfsSync(dirs.root).type;
  const network = NETWORK_FILE_SYSTEMS.get(type);
  if (network !== undefined) {
    throw new EngineError("unsupported", `the state directory ${dirs.root} is on a network file system (${network})`, {
      hint: "name a directory on a local disk with --root or ASHLAR_ROOT",
    });
  }
  if (wanted) return { dirs, snapshotter: wanted, copies: false };
  const copies = type === OVERLAY_FILE_SYSTEM;
  return { dirs, snapshotter: copies ? "native" : "overlay", copies };
}

function makeDirectories(dirs: StateDirs): void {
  const { root, database: _, ...parts } = dirs;
  try {
    fs.mkdirSync(root, { recursive: true, mode: 0o711 });
    for (const part of Object.values(parts)) fs.mkdirSync(part, { recursive: true, mode: 0o711 });
    fs.mkdirSync(path.join(dirs.layers, "empty"), { recursive: true, mode: 0o755 });
  } catch (error) {
    const code = systemCode(error);
    const message = `making the state directory ${root}: ${messageOf(error)}`;
    const hint = "name another place with --root or ASHLAR_ROOT";
    throw new EngineError(code === "ENOSPC" ? "no-space" : "denied", message, { cause: error, hint });
  }
}

/** The kernel's name of this boot: what was written in another one may not have reached the disk. */
export function bootId(): string {
  return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Cores this process may use. */
export function coreCount(): number {
  return Math.max(1, os.availableParallelism());
}
