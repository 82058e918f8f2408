import { describe, expect, it } from "vitest";
import type { StepProcess } from "../../src/executor/index.js";
import { runtimeSpec, type SpecHost } from "../../src/executor/runtime-spec.js";
import { defaultSeccomp, type SeccompSpec } from "../../src/executor/seccomp-profile.js";
import { shell } from "./ground.js";

const host: SpecHost = {
  arch: "x64",
  capabilities: ["CAP_CHOWN", "CAP_SYS_ADMIN"],
  cgroupVersion: 1,
  userNamespace: false,
  devices: () => [],
};
const place = { rootfs: "/r", etc: { hosts: "/run/hosts", resolvConf: "/run/resolv.conf" }, cgroupsPath: "/ashlar/x" };
const spec = (
  changes: Partial<StepProcess> = {},
  on: Partial<SpecHost> = {},
  terminal?: { columns: number; rows: number },
) => runtimeSpec(shell("true", changes), place, { ...host, ...on }, terminal);

describe("the runtime configuration of a step", () => {
  it("mounts what BuildKit mounts", () => {
    expect(
      spec().mounts.map(({ destination, type, options }) => `${destination} ${type} ${options.join(",")}`),
    ).toEqual([
      "/proc proc nosuid,noexec,nodev",
      "/dev tmpfs nosuid,strictatime,mode=755,size=65536k",
      "/dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
      "/dev/shm tmpfs nosuid,noexec,nodev,mode=1777,size=65536k",
      "/dev/mqueue mqueue nosuid,noexec,nodev",
      "/sys sysfs nosuid,noexec,nodev,ro",
      "/sys/fs/cgroup cgroup nosuid,noexec,nodev,relatime,ro",
      "/etc/resolv.conf bind nosuid,noexec,nodev,rbind,ro",
      "/etc/hosts bind nosuid,noexec,nodev,rbind,ro",
    ]);
  });
  it("orders the step's mounts by destination and lets them replace the defaults", () => {
    const mounts: StepProcess["mounts"] = [
      { kind: "tmpfs", destination: "/m/b", sizeBytes: 4096, mode: 0o1777 },
      { kind: "bind", source: "/s", destination: "/m", readonly: true, flags: ["nosuid"] },
      { kind: "tmpfs", destination: "/dev/shm", sizeBytes: 0, flags: ["nosuid", "nodev"], readonly: true },
    ];
    const made = spec({ mounts }).mounts;
    expect(made.slice(-3).map(({ destination, options }) => `${destination} ${options.join(",")}`)).toEqual([
      "/dev/shm nosuid,nodev,ro",
      "/m rbind,ro,nosuid",
      "/m/b nosuid,size=4096,mode=1777",
    ]);
    expect(made.filter(({ destination }) => destination === "/dev/shm")).toHaveLength(1);
  });
  it("has a network namespace only without a network, and a cgroup namespace only with version 2", () => {
    const types = (made: ReturnType<typeof spec>) => made.linux.namespaces.map(({ type }) => type).join(" ");
    expect(types(spec())).toBe("pid ipc uts mount");
    expect(types(spec({ network: "host" }))).toBe("pid ipc uts mount");
    expect(types(spec({ network: "none" }))).toBe("pid ipc uts mount network");
    expect(types(spec({}, { cgroupVersion: 2 }))).toBe("pid ipc uts mount cgroup");
  });
  it("adds HOME where the caller knows it and the step does not say it", () => {
    const user = { uid: 1, gid: 2, groups: [], home: "/h" };
    expect(spec({ env: ["A=b"], user }).process.env).toEqual(["A=b", "HOME=/h"]);
    expect(spec({ env: ["HOME="], user }).process.env).toEqual(["HOME="]);
  });
  it("gives an insecure step what the engine has, and takes the filters away", () => {
    const { process, linux, mounts } = spec({ security: "insecure" });
    for (const set of ["bounding", "effective", "permitted", "inheritable", "ambient"] as const) {
      expect(process.capabilities[set]).toEqual(host.capabilities);
    }
    expect(linux).toMatchObject({ maskedPaths: [], readonlyPaths: [], resources: { devices: [{ allow: true }] } });
    expect(linux.seccomp).toBeUndefined();
    expect(mounts.find(({ destination }) => destination === "/sys")?.options).toContain("rw");
  });
  it("leaves out in a user namespace what that may not have", () => {
    const { mounts, linux } = spec({}, { userNamespace: true });
    expect(mounts.filter(({ destination }) => destination.startsWith("/sys"))).toEqual([
      { destination: "/sys", type: "bind", source: "/sys", options: ["nosuid", "noexec", "nodev", "rbind", "ro"] },
    ]);
    expect(linux.resources.devices).toEqual([]);
  });
  it("limits what it is told to and denies devices", () => {
    const made = spec({ ulimits: [{ name: "nofile", soft: 1, hard: 2 }] }, {}, { columns: 90, rows: 25 });
    expect(made.process.rlimits).toEqual([{ type: "RLIMIT_NOFILE", soft: 1, hard: 2 }]);
    expect(made.process).toMatchObject({
      terminal: true,
      consoleSize: { height: 25, width: 90 },
      noNewPrivileges: false,
      user: { umask: 18 },
    });
    expect(made.linux.resources.devices).toEqual([{ allow: false, access: "rwm" }]);
  });
});

describe("the default system call filter", () => {
  const allowed = (filter: SeccompSpec, name: string) =>
    filter.syscalls.some(({ names, action, args }) => names.includes(name) && action === "SCMP_ACT_ALLOW" && !args);
  const root = defaultSeccomp(["CAP_SYS_CHROOT"], "x64");
  it("refuses what is not listed with EPERM", () => {
    expect(root).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
    for (const name of [
      "mount",
      "keyctl",
      "io_uring_setup",
      "userfaultfd",
      "add_key",
      "kexec_load",
      "setns",
      "clone",
      "socket",
    ]) {
      expect([name, allowed(root, name)]).toEqual([name, false]);
    }
    for (const name of ["openat", "ptrace", "io_setup", "chroot", "statx", "rseq"])
      expect([name, allowed(root, name)]).toEqual([name, true]);
  });
  it("depends on capabilities and architecture", () => {
    const admin = defaultSeccomp(["CAP_SYS_ADMIN", "CAP_SYS_TIME"], "arm64");
    for (const name of ["mount", "clone3", "clone", "settimeofday", "cacheflush"])
      expect(allowed(admin, name)).toBe(true);
    expect([allowed(admin, "chroot"), allowed(admin, "arch_prctl"), allowed(root, "arch_prctl")]).toEqual([
      false,
      false,
      true,
    ]);
    expect(admin.architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
  });
  it("lets clone make no namespace and hides clone3", () => {
    expect(root.syscalls.filter(({ names }) => names.includes("clone") || names.includes("clone3"))).toEqual([
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
    ]);
    expect(defaultSeccomp([], "s390x").syscalls.find(({ names }) => names[0] === "clone")?.args?.[0]?.index).toBe(1);
  });
  it("has no socket families of virtual machines or kernel crypto", () => {
    const families = root.syscalls.flatMap(({ names, args }) => (names[0] === "socket" ? [args?.[0]?.value] : []));
    expect(families).toEqual(expect.arrayContaining([1, 2, 10, 16, 17]));
    for (const family of [38, 40]) expect(families).not.toContain(family);
  });
});
