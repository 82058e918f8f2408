import { spawn } from "node:child_process";
import { describe, expect, it } from "vitest";
import { supervisedSeccomp } from "../../src/executor/one-id/calls.js";
import { CredentialTable, rootIn } from "../../src/executor/one-id/credentials.js";
import { IDENTITY_CALLS } from "../../src/executor/one-id/identities.js";
import type { Answer } from "../../src/executor/one-id/notification.js";
import { Tracee } from "../../src/executor/one-id/tracee.js";
import { compileSeccomp, SECCOMP_RET_USER_NOTIF } from "../../src/executor/seccomp-bpf.js";
import { defaultSeccomp } from "../../src/executor/seccomp-profile.js";

const SUPERVISION = { directory: "/state/run/1", architectures: ["SCMP_ARCH_X86_64"] };

describe("the filter of a supervised step", () => {
  const filter = supervisedSeccomp(defaultSeccomp([], "x64"), SUPERVISION);

  it("asks about owners, and allows without asking nothing that it asks about", () => {
    const asked = filter.syscalls.filter(({ action, args }) => action === "SCMP_ACT_NOTIFY" && !args);
    const names = asked.flatMap((rule) => rule.names);
    expect(names).toContain("fchownat");
    const others = filter.syscalls.filter(({ action }) => action !== "SCMP_ACT_NOTIFY").flatMap((rule) => rule.names);
    expect(others.filter((name) => names.includes(name))).toEqual([]);
  });
  it("asks about opening a file only where that makes one", () => {
    expect(filter.syscalls.filter(({ names }) => names.includes("openat"))).toEqual([
      {
        names: ["openat"],
        action: "SCMP_ACT_NOTIFY",
        args: [{ index: 2, value: 0o100, valueTwo: 0o100, op: "SCMP_CMP_MASKED_EQ" }],
      },
      {
        names: ["openat"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 2, value: 0o100, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
    ]);
  });
  it("allows the rest where steps have no filter", () => {
    const open = supervisedSeccomp(undefined, SUPERVISION);
    expect(open.defaultAction).toBe("SCMP_ACT_ALLOW");
    expect(compileSeccomp(open, "x64").some(({ k }) => k === SECCOMP_RET_USER_NOTIF)).toBe(true);
  });
  it("names a socket by a path that is short enough, or else as seen from the bundle", () => {
    expect(filter.listenerPath).toBe("/state/run/1/owners.sock");
    const deep = supervisedSeccomp(undefined, { ...SUPERVISION, directory: `/${"d".repeat(200)}` });
    expect(deep.listenerPath).toBe("owners.sock");
  });
});

describe("who a process is", () => {
  const call = (table: CredentialTable, name: string, ...args: readonly number[]): Answer => {
    const answer = IDENTITY_CALLS[name];
    if (!answer) throw new Error(`no call ${name}`);
    const words = args.map((value) => BigInt.asUintN(64, BigInt(value)));
    const notification = { id: 1n, tid: process.pid, number: 0, arch: 0, args: words };
    return answer(notification, new Tracee(process.pid), table);
  };
  const ids = (table: CredentialTable) => {
    const { uid, euid, suid, fsuid } = table.of(process.pid);
    return [uid, euid, suid, fsuid];
  };
  const DENIED = { kind: "error", errno: 1 };

  it("changes for good where root changes all ids", () => {
    const table = new CredentialTable(rootIn([0]));
    call(table, "setuid", 33);
    expect(ids(table)).toEqual([33, 33, 33, 33]);
    expect(call(table, "setuid", 0)).toEqual(DENIED);
    expect(call(table, "setgid", 33)).toEqual(DENIED);
    expect(call(table, "setgroups", 0, 0)).toEqual(DENIED);
    expect(call(table, "getuid")).toEqual({ kind: "value", value: 33 });
  });
  it("can change back where root only put it aside", () => {
    const table = new CredentialTable(rootIn([0]));
    call(table, "setresuid", -1, 33, -1);
    expect(ids(table)).toEqual([0, 33, 0, 33]);
    expect(call(table, "setresuid", 5, -1, -1)).toEqual(DENIED);
    call(table, "setresuid", -1, 0, -1);
    expect(ids(table)).toEqual([0, 0, 0, 0]);
  });
  it("follows setreuid(2) in what it saves", () => {
    const table = new CredentialTable(rootIn([0]));
    call(table, "setreuid", 10, 20);
    expect(ids(table)).toEqual([10, 20, 20, 20]);
    call(table, "setreuid", 20, 10);
    expect(ids(table)).toEqual([20, 10, 10, 10]);
    expect(call(table, "setreuid", 30, -1)).toEqual(DENIED);
  });
  it("may still change after root has asked to keep that right", () => {
    const table = new CredentialTable(rootIn([0]));
    expect(call(table, "prctl", 8, 1)).toEqual({ kind: "continue" });
    call(table, "setresuid", 6, 6, 6);
    expect(call(table, "setresgid", 12, 12, 12)).toEqual({ kind: "value", value: 0 });
    expect(table.of(process.pid)).toMatchObject({ euid: 6, egid: 12 });
  });
  it("gives the former id for a file access where it changes that", () => {
    const table = new CredentialTable(rootIn([0]));
    expect(call(table, "setfsuid", 7)).toEqual({ kind: "value", value: 0 });
    expect(call(table, "setfsuid", -1)).toEqual({ kind: "value", value: 7 });
  });
  it("is what the parent is, for a process that nobody has asked about", async () => {
    const table = new CredentialTable(rootIn([0]));
    call(table, "setuid", 33);
    const child = spawn("cat");
    try {
      expect(table.of(child.pid ?? -1).uid).toBe(33);
      call(table, "setgroups", 0, 0);
    } finally {
      child.stdin.end();
    }
    expect(table.of(process.ppid).uid).toBe(0);
  });
});
