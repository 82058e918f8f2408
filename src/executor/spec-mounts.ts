import type { StepMount, StepProcess } from "./executor.js";

/** A mount of the OCI runtime spec. */
export interface SpecMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Files made for the step, as the data plane sees them. */
export interface EtcFiles {
  readonly hosts: string;
  readonly resolvConf: string;
}

const SHM_BYTES = 64 * 1024 * 1024;
const BYTES_PER_KIB = 1024;
const QUIET = ["nosuid", "noexec", "nodev"];

/** Every mount of a step in mounting order: the kernel's own, the generated files, then the step's by destination. */
export function specMounts(step: StepProcess, etc: EtcFiles, userNamespace: boolean): SpecMount[] {
  const own = step.mounts
    .map(ownMount)
    .sort((a, b) => (a.destination < b.destination ? -1 : a.destination > b.destination ? 1 : 0));
  const taken = new Set(own.map((mount) => mount.destination));
  return [...defaults(step, etc, userNamespace).filter((mount) => !taken.has(mount.destination)), ...own];
}

/** The destinations of mounts that the runtime makes an empty file or directory for where there is none, beside /proc, /dev and /sys. */
export function stubPaths(step: Pick<StepProcess, "mounts">): string[] {
  return [RESOLV_CONF, HOSTS, ...step.mounts.map((mount) => mount.destination)];
}

const HOSTS = "/etc/hosts";
const RESOLV_CONF = "/etc/resolv.conf";

function defaults(step: StepProcess, etc: EtcFiles, userNamespace: boolean): SpecMount[] {
  const access = step.security === "insecure" ? "rw" : "ro";
  const shmKib = Math.ceil((step.shmSizeBytes ?? SHM_BYTES) / BYTES_PER_KIB);
  const mount = (destination: string, type: string, options: readonly string[], source = type): SpecMount => {
    return { destination, type, source, options };
  };
  return [
    mount("/proc", "proc", QUIET),
    mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    mount("/dev/shm", "tmpfs", [...QUIET, "mode=1777", `size=${shmKib}k`], "shm"),
    mount("/dev/mqueue", "mqueue", QUIET),
    ...(userNamespace
      ? [mount("/sys", "bind", [...QUIET, "rbind", "ro"], "/sys")]
      : [
          mount("/sys", "sysfs", [...QUIET, access]),
          mount("/sys/fs/cgroup", "cgroup", [...QUIET, "relatime", access]),
        ]),
    mount(RESOLV_CONF, "bind", [...QUIET, "rbind", "ro"], etc.resolvConf),
    mount(HOSTS, "bind", [...QUIET, "rbind", "ro"], etc.hosts),
  ];
}

function ownMount(mount: StepMount): SpecMount {
  const { destination } = mount;
  const flags = mount.flags ?? [];
  switch (mount.kind) {
    case "bind":
      return {
        destination,
        type: "bind",
        source: mount.source,
        options: ["rbind", mount.readonly ? "ro" : "rw", ...flags],
      };
    case "tmpfs": {
      const size = mount.sizeBytes === undefined || mount.sizeBytes === 0 ? [] : [`size=${mount.sizeBytes}`];
      const mode = mount.mode === undefined ? [] : [`mode=${mount.mode.toString(8)}`];
      const access = mount.readonly ? ["ro"] : [];
      const options = [...new Set(["nosuid", ...flags]), ...access, ...size, ...mode];
      return { destination, type: "tmpfs", source: "tmpfs", options };
    }
  }
}
