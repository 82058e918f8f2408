import profile from "./seccomp.json" with { type: "json" };

/** A seccomp filter as the OCI runtime spec has it (config-linux.md, "Seccomp"). */
export interface SeccompSpec {
  readonly defaultAction: "SCMP_ACT_ERRNO" | "SCMP_ACT_ALLOW";
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
  /** The socket of who answers the calls of rules that notify: a path, which may be relative to the bundle. */
  readonly listenerPath?: string;
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO" | "SCMP_ACT_NOTIFY";
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[];
}

/** `MASKED_EQ`: argument & value equals valueTwo. */
export interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
}

const EPERM = 1;
const ENOSYS = 38;

/** By Node's `process.arch`: the profile's name of the architecture, and what its kernel runs. */
const ARCHITECTURES: Readonly<Record<string, { readonly name: string; readonly seccomp: readonly string[] }>> = {
  x64: { name: "amd64", seccomp: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
  arm64: { name: "arm64", seccomp: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"] },
  arm: { name: "arm", seccomp: ["SCMP_ARCH_ARM"] },
  ppc64: { name: "ppc64le", seccomp: ["SCMP_ARCH_PPC64LE"] },
  riscv64: { name: "riscv64", seccomp: ["SCMP_ARCH_RISCV64"] },
  s390x: { name: "s390x", seccomp: ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"] },
  loong64: { name: "loong64", seccomp: ["SCMP_ARCH_LOONGARCH64"] },
};

/**
 * Docker's default filter for a process with these capabilities in its bounding set: what is not listed fails with EPERM. Clone may make
 * no namespace, and clone3, whose flags a filter cannot read, is missing (ENOSYS), unless the process may mount anyway.
 */
export function defaultSeccomp(capabilities: readonly string[], nodeArch: string): SeccompSpec {
  const arch = ARCHITECTURES[nodeArch];
  const admin = capabilities.includes("CAP_SYS_ADMIN");
  const gated = Object.entries(profile.capabilities).filter(([name]) => capabilities.includes(name));
  const native = Object.entries(profile.architectures).filter(([name]) => name === arch?.name);
  const names = new Set([
    ...profile.always,
    ...gated.flatMap(([, list]) => list),
    ...native.flatMap(([, list]) => list),
  ]);
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    architectures: arch?.seccomp ?? [],
    syscalls: [
      { names: [...names], action: "SCMP_ACT_ALLOW" },
      ...profile.socketFamilies.map((family) => allowedWith("socket", { index: 0, value: family, op: "SCMP_CMP_EQ" })),
      ...profile.personalities.map((kind) => allowedWith("personality", { index: 0, value: kind, op: "SCMP_CMP_EQ" })),
      ...(admin ? [] : withoutNamespaces(nodeArch)),
    ],
  };
}

/** What the kernel of a machine runs, as filters name it; by Node's `process.arch`. */
export function seccompArchitectures(nodeArch: string): readonly string[] {
  return ARCHITECTURES[nodeArch]?.seccomp ?? [];
}

function withoutNamespaces(nodeArch: string): SeccompRule[] {
  const index = nodeArch === "s390x" ? 1 : 0;
  const noFlag: SeccompArgument = { index, value: profile.namespaceFlags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" };
  return [allowedWith("clone", noFlag), { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS }];
}

function allowedWith(name: string, argument: SeccompArgument): SeccompRule {
  return { names: [name], action: "SCMP_ACT_ALLOW", args: [argument] };
}
