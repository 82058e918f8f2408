import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { EngineError, makeDirectories, messageOf, systemCode } from "../base/index.js";
import { describeOwnership, type Ownership, type Snapshotter, type StateDirs, stateDirs } from "../snapshot/index.js";
import { refuseObstacles } from "./obstacles.js";

/** The state directory, made where it is missing, and how layers can be stacked there. */
export interface Ground {
  readonly dirs: StateDirs;
  readonly snapshotter: Snapshotter;
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

/** How the engine is to work, where that has been decided. */
export interface GroundOptions {
  readonly snapshotter?: Snapshotter | undefined;
  readonly ownership: Ownership;
}

/**
 * Looks at where the engine stands before it builds on it. Throws `unsupported` for a network file system, `denied` where ROOT can't be
 * written or is somebody else's, or its layers' files have other owners, `invalid` where something is in the way.
 */
export function prepareGround(root: string, { snapshotter: wanted, ownership }: GroundOptions): Ground {
  const dirs = stateDirs(path.resolve(root));
  refuseObstacles(dirs);
  refuseOthers(dirs);
  makeStateDirectories(dirs, ownership);
  settleOwnership(dirs, ownership);
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

/** Layers of a user's have the ids of that user. */
function refuseOthers({ root, layers }: StateDirs): void {
  const owner = ownerOf(layers) ?? process.getuid?.();
  if (owner === process.getuid?.()) return;
  const who = owner === UNKNOWN ? "" : ` (uid ${owner})`;
  throw new EngineError("denied", `the state directory ${root} belongs to another user${who}`, {
    hint: "name another place with --root or ASHLAR_ROOT",
  });
}

const UNKNOWN = "unknown";

/** Undefined where nothing is there. */
function ownerOf(file: string): number | typeof UNKNOWN | undefined {
  try {
    return fs.statSync(file, { throwIfNoEntry: false })?.uid;
  } catch (error) {
    if (systemCode(error) === "EACCES") return UNKNOWN;
    throw error;
  }
}

/** Keeps what the owners of files mean beside the layers, and holds the engine to it ever after. */
function settleOwnership({ root }: StateDirs, ownership: Ownership): void {
  const file = path.join(root, OWNERSHIP_FILE);
  const text = describeOwnership(ownership);
  // Root's files have the owners they have: there is nothing to note.
  if (ownership.kind === "machine" || keptOwnership(file, text) === text) return;
  throw new EngineError(
    "denied",
    `the files in the state directory ${root} were made with other user ids than are granted now`,
    {
      hint: "remove it (podman unshare rm -rf, or as root), or name another place with --root or ASHLAR_ROOT",
    },
  );
}

const OWNERSHIP_FILE = "ownership";

function keptOwnership(file: string, text: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
  const made = fs.mkdtempSync(`${file}-`);
  try {
    const whole = path.join(made, "whole");
    fs.writeFileSync(whole, text);
    fs.linkSync(whole, file);
    return text;
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
    return fs.readFileSync(file, "utf8"); // somebody else was faster
  } finally {
    fs.rmSync(made, { recursive: true });
  }
}

function makeStateDirectories(dirs: StateDirs, { kind }: Ownership): void {
  const { root, layers, mounts, tmp, run, database: _, ...others } = dirs;
  // Files of a namespace's root that change their user do so to the user: nobody else may reach them.
  const mode = kind === "machine" ? 0o711 : OWNER_ONLY;
  try {
    makeDirectories(root, mode);
    for (const part of [layers, mounts, tmp, run]) makeDirectories(part, mode);
    for (const part of [...Object.values(others), path.join(root, "ingest")]) makePrivate(part);
    makeDirectories(path.join(dirs.layers, "empty"), 0o755);
  } catch (error) {
    const code = systemCode(error);
    const message = `making the state directory ${root}: ${messageOf(error)}`;
    const hint = "name another place with --root or ASHLAR_ROOT";
    throw new EngineError(code === "ENOSPC" ? "no-space" : "denied", message, { cause: error, hint });
  }
}

const OWNER_ONLY = 0o700;

/** What lies there has names that others can guess, and what was built of what. Earlier versions let them in. */
function makePrivate(directory: string): void {
  makeDirectories(directory, OWNER_ONLY);
  if ((fs.statSync(directory).mode & 0o077) !== 0) fs.chmodSync(directory, OWNER_ONLY);
}

/** The kernel's name of this boot: what was written in another one may not have reached the disk. */
export function bootId(): string {
  return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Cores this process may use. */
export function coreCount(): number {
  return Math.max(1, os.availableParallelism());
}
