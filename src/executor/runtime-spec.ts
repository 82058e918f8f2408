import { EngineError, type TerminalSize } from "../base/index.js";
import { DEFAULT_CAPABILITIES } from "./capabilities.js";
import type { StepHook } from "./cdi/index.js";
import type { StepProcess } from "./executor.js";
import type { DeviceNode } from "./insecure-devices.js";
import { defaultSeccomp, type SeccompSpec } from "./seccomp-profile.js";
import { type EtcFiles, type SpecMount, specMounts } from "./spec-mounts.js";
import { deviceRules, type SpecResources, specResources } from "./spec-resources.js";

/** The parts of an OCI runtime configuration (runtime-spec 1.0.2, config.json) that a step uses. */
export interface RuntimeSpec {
  readonly ociVersion: "1.0.2";
  readonly process: {
    readonly terminal: boolean;
    readonly consoleSize?: { readonly height: number; readonly width: number };
    readonly user: {
      readonly uid: number;
      readonly gid: number;
      readonly umask: number;
      readonly additionalGids: readonly number[];
    };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly capabilities: Readonly<
      Record<"bounding" | "effective" | "permitted" | "inheritable" | "ambient", readonly string[]>
    >;
    readonly rlimits: readonly { readonly type: string; readonly soft: number; readonly hard: number }[];
    readonly noNewPrivileges: false;
  };
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname: string;
  readonly mounts: readonly SpecMount[];
  readonly linux: {
    readonly namespaces: readonly { readonly type: string }[];
    readonly cgroupsPath?: string;
    readonly resources: SpecResources;
    readonly devices: readonly (DeviceNode & { readonly hostPath?: string })[];
    readonly seccomp?: SeccompSpec;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
  /** By their names. */
  readonly hooks?: Readonly<Record<string, readonly SpecHook[]>>;
}

type SpecHook = Omit<StepHook, "hookName">;

/** What of the machine a runtime spec depends on. */
export interface SpecHost {
  /** As `process.arch`. */
  readonly arch: string;
  /** The engine's own, which an insecure step gets. */
  readonly capabilities: readonly string[];
  readonly cgroupVersion: 1 | 2;
  /** Steps run in a user namespace: no cgroups, no device nodes, and the machine's own /sys. */
  readonly userNamespace: boolean;
  /** The nodes for insecure steps. */
  readonly devices: () => readonly DeviceNode[];
}

/** Where a step runs. */
export interface StepPlace {
  readonly rootfs: string;
  readonly etc: EtcFiles;
  /** Absent: no cgroup. */
  readonly cgroupsPath?: string | undefined;
}

const UMASK = 0o022;

/** Paths of the host's kernel that a step must not read. */
const MASKED_PATHS: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

/** Paths of the host's kernel that a step must not write. */
const READONLY_PATHS: readonly string[] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** The runtime configuration of a step, as BuildKit makes it for a RUN; TERMINAL is the size of one it gets. Throws EngineError `invalid` for an unknown ulimit. */
export function runtimeSpec(
  step: StepProcess,
  place: StepPlace,
  host: SpecHost,
  terminal: TerminalSize | undefined,
): RuntimeSpec {
  const insecure = step.security === "insecure";
  return {
    ociVersion: "1.0.2",
    process: processOf(step, insecure ? host.capabilities : DEFAULT_CAPABILITIES, terminal),
    root: { path: place.rootfs, readonly: false },
    hostname: step.hostname,
    mounts: specMounts(step, place.etc, host.userNamespace),
    linux: {
      namespaces: namespaces(step, host.cgroupVersion).map((type) => ({ type })),
      ...(place.cgroupsPath === undefined ? {} : { cgroupsPath: place.cgroupsPath }),
      resources: host.userNamespace ? { devices: [] } : specResources(step, deviceRules(step.devices?.nodes ?? [])),
      devices: [
        ...(insecure && !host.userNamespace ? host.devices() : []),
        ...(step.devices?.nodes ?? []).map(({ access: _, ...node }) => node),
      ],
      ...(insecure ? {} : { seccomp: defaultSeccomp(DEFAULT_CAPABILITIES, host.arch) }),
      maskedPaths: insecure ? [] : MASKED_PATHS,
      readonlyPaths: insecure ? [] : READONLY_PATHS,
    },
    ...hooksOf(step.devices?.hooks ?? []),
  };
}

function hooksOf(hooks: readonly StepHook[]): Pick<RuntimeSpec, "hooks"> {
  const byName: Record<string, SpecHook[]> = {};
  for (const { hookName, ...hook } of hooks) {
    byName[hookName] ??= [];
    byName[hookName].push(hook);
  }
  return hooks.length === 0 ? {} : { hooks: byName };
}

function processOf(
  step: StepProcess,
  capabilities: readonly string[],
  terminal: TerminalSize | undefined,
): RuntimeSpec["process"] {
  const { uid, gid, groups } = step.user;
  const inherited = step.security === "insecure" ? capabilities : [];
  return {
    terminal: terminal !== undefined,
    ...(terminal ? { consoleSize: { height: terminal.rows, width: terminal.columns } } : {}),
    // The primary group is always among the groups, or a process could drop it to pass a rule that denies it (CVE-2022-2990).
    user: { uid, gid, umask: UMASK, additionalGids: [...new Set([gid, ...groups])] },
    args: step.args,
    env: withHome(step),
    cwd: step.cwd,
    capabilities: {
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: inherited,
      ambient: inherited,
    },
    rlimits: step.ulimits.map(({ name, soft, hard }) => ({ type: rlimitType(name), soft, hard })),
    noNewPrivileges: false,
  };
}

function withHome({ env, user }: StepProcess): readonly string[] {
  const known = user.home === undefined || env.some((entry) => entry.startsWith("HOME="));
  return known ? env : [...env, `HOME=${user.home}`];
}

function namespaces({ network }: StepProcess, cgroupVersion: 1 | 2): string[] {
  return [
    "pid",
    "ipc",
    "uts",
    "mount",
    ...(network === "none" ? ["network"] : []),
    ...(cgroupVersion === 2 ? ["cgroup"] : []),
  ];
}

const ULIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
  " ",
);

/** `nofile` as RLIMIT_NOFILE. */
export function rlimitType(name: string): string {
  if (!ULIMITS.includes(name)) throw new EngineError("invalid", `invalid ulimit type: ${name}`);
  return `RLIMIT_${name.toUpperCase()}`;
}
