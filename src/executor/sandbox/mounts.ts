import fs from "node:fs";
import { MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REMOUNT, mount } from "../../base/index.js";
import type { RuntimeSpec } from "../runtime-spec.js";
import type { SpecMount } from "../spec-mounts.js";
import type { Native } from "./native.js";
import { openInside, openMountPoint, pathOf } from "./rooted.js";

const MS_RELATIME = 1 << 21;
const MS_NOATIME = 1 << 10;
const MS_NODIRATIME = 1 << 11;
const MS_STRICTATIME = 1 << 24;
const MS_REC = 1 << 14;
const FLAGS: Readonly<Record<string, number>> = {
  ro: MS_RDONLY,
  nosuid: MS_NOSUID,
  nodev: MS_NODEV,
  noexec: MS_NOEXEC,
  relatime: MS_RELATIME,
  strictatime: MS_STRICTATIME,
  noatime: MS_NOATIME,
  nodiratime: MS_NODIRATIME,
};
/** Options that say nothing to mount(2) here. */
const SILENT = new Set(["rw", "rbind", "bind"]);
const DEV_NODES = ["null", "zero", "full", "random", "urandom", "tty"];
const DEV_LINKS = [
  ["/proc/self/fd", "fd"],
  ["/proc/self/fd/0", "stdin"],
  ["/proc/self/fd/1", "stdout"],
  ["/proc/self/fd/2", "stderr"],
  ["pts/ptmx", "ptmx"],
] as const;

/**
 * Mounts everything of SPEC into its root, which becomes a mount of its own, and gives the open root. Without cgroups devices are kept from
 * the step by the mounts: none but the nodes bound in /dev works.
 */
export function mountAll({ root, mounts, linux, process }: RuntimeSpec, native: Native): number {
  const insecure = linux.seccomp === undefined;
  const deviceFlag = insecure ? 0 : MS_NODEV;
  mount(root.path, root.path, "none", MS_BIND | MS_REC);
  const top = fs.openSync(root.path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  remount(top, deviceFlag | (root.readonly ? MS_RDONLY : 0));
  for (const each of mounts) {
    mountOne(top, each, deviceFlag, native);
    if (each.destination !== "/dev") continue;
    fillDev(top, linux, native);
    if (process.terminal) showTerminal(top, native);
  }
  for (const file of linux.maskedPaths) mask(top, file);
  for (const file of linux.readonlyPaths) protect(top, file);
  return top;
}

function mountOne(
  top: number,
  { destination, type, source, options }: SpecMount,
  deviceFlag: number,
  native: Native,
): void {
  const flags = options.reduce((all, option) => all | (FLAGS[option] ?? 0), deviceFlag);
  const data = options.filter((option) => FLAGS[option] === undefined && !SILENT.has(option)).join(",");
  const kind = type === "bind" && !fs.statSync(source).isDirectory() ? "file" : "directory";
  const target = openMountPoint(top, destination, kind, native);
  switch (type) {
    case "bind":
      // In a user namespace the machine's /sys comes with all that is mounted in it or not at all; nothing else has mounts inside.
      mount(source, pathOf(target), "none", MS_BIND | (source === "/sys" ? MS_REC : 0));
      // The path still means what is hidden now: what was mounted is found by its name again.
      again(top, destination, (fd) => remount(fd, flags));
      break;
    case "cgroup":
      // The step has no cgroup of its own, and those of the machine are none of its business.
      mount("none", pathOf(target), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0k");
      break;
    case "devpts":
      mount(source, pathOf(target), type, flags & ~MS_NODEV, data);
      break;
    default:
      mount(source, pathOf(target), type, flags, data);
  }
  fs.closeSync(target);
}

/** Adds flags to the mount that FD is the root of. */
function remount(fd: number, flags: number): void {
  mount("none", pathOf(fd), "none", MS_BIND | MS_REMOUNT | flags | flagsOf(fd));
}

/** The flags of FD's mount: leaving one out would ask to lift it, which a user namespace may not (mount_namespaces(7)). */
function flagsOf(fd: number): number {
  const id = /^mnt_id:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
  const lines = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const options = lines.find((line) => line.startsWith(`${id} `))?.split(" ")[5] ?? "";
  return options.split(",").reduce((all, option) => all | (FLAGS[option] ?? 0), 0);
}

function again(top: number, file: string, act: (fd: number) => void): void {
  const fd = openInside(top, file);
  if (fd === undefined) return;
  act(fd);
  fs.closeSync(fd);
}

function fillDev(top: number, linux: RuntimeSpec["linux"], native: Native): void {
  const dev = openMountPoint(top, "/dev", "directory", native);
  for (const name of DEV_NODES) {
    native.mknodat(dev, name, fs.constants.S_IFREG | 0o666, 0);
    again(top, `/dev/${name}`, (fd) => mount(`/dev/${name}`, pathOf(fd), "none", MS_BIND));
  }
  for (const [target, name] of DEV_LINKS) native.symlinkat(target, dev, name);
  for (const { path: file, hostPath = file } of linux.devices) {
    if (!fs.existsSync(hostPath)) continue;
    fs.closeSync(openMountPoint(top, file, "file", native));
    again(top, file, (fd) => mount(hostPath, pathOf(fd), "none", MS_BIND));
  }
  fs.closeSync(dev);
}

/** The terminal's device is outside the step's /dev/pts: a place in its /dev gives it a name (ttyname(3)). */
function showTerminal(top: number, native: Native): void {
  fs.closeSync(openMountPoint(top, CONSOLE, "file", native));
  // The descriptor is of another mount namespace, whose files can't be mounted here: the same path can.
  const device = fs.readlinkSync("/proc/self/fd/0");
  again(top, CONSOLE, (fd) => mount(device, pathOf(fd), "none", MS_BIND));
}

const CONSOLE = "/dev/console";

/** Hides a file behind /dev/null, a directory behind an empty one. */
function mask(top: number, file: string): void {
  again(top, file, (fd) => {
    if (fs.fstatSync(fd).isDirectory()) mount("none", pathOf(fd), "tmpfs", MS_RDONLY, "size=0k");
    else mount("/dev/null", pathOf(fd), "none", MS_BIND);
  });
}

function protect(top: number, file: string): void {
  again(top, file, (fd) => mount(pathOf(fd), pathOf(fd), "none", MS_BIND | MS_REC));
  again(top, file, (fd) => remount(fd, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC));
}
