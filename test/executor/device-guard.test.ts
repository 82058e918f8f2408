import { spawnSync } from "node:child_process";
import fs from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCgroups, removeCgroup } from "../../src/executor/cgroups.js";
import { deviceProgram, guardDevices } from "../../src/executor/device-guard.js";
import type { DeviceRule } from "../../src/executor/spec-resources.js";

const KINDS = { b: 1, c: 2 } as const;
const ACCESSES = { m: 1, r: 2, w: 4 } as const;
interface Use {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly access: readonly ("m" | "r" | "w")[];
}

/** Runs the instructions of eBPF that such programs are made of. */
function decide(program: Buffer, { type, major, minor, access }: Use): number {
  const context = [KINDS[type] | (access.reduce((mask, each) => mask | ACCESSES[each], 0) << 16), major, minor];
  const registers: number[] = [];
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt8(at * 8);
    const [to, from] = [program.readUInt8(at * 8 + 1) & 15, program.readUInt8(at * 8 + 1) >> 4];
    const offset = program.readInt16LE(at * 8 + 2);
    const constant = program.readUInt32LE(at * 8 + 4);
    const value = registers[to] ?? 0;
    if (code === 0x61) registers[to] = context[offset / 4] ?? -1;
    else if (code === 0xbc) registers[to] = registers[from] ?? -1;
    else if (code === 0xb4) registers[to] = constant;
    else if (code === 0x54) registers[to] = value & constant;
    else if (code === 0x74) registers[to] = value >>> constant;
    else if (code === 0x56) at += value === constant ? 0 : offset;
    else if (code === 0x46) at += (value & constant) === 0 ? 0 : offset;
    else if (code === 0x95) return registers[0] ?? -1;
    else throw new Error(`instruction ${code.toString(16)}`);
  }
  throw new Error("the program has no end");
}

const number = fc.constantFrom(0, 1, 7, 255, 0xfffff);
const access = fc.subarray(["r", "w", "m"] as const, { minLength: 1 });
const rule = fc.record(
  { type: fc.constantFrom("b", "c", "a"), major: number, minor: number, access: access.map((each) => each.join("")) },
  { requiredKeys: ["access"] },
);
const use = fc.record({ type: fc.constantFrom("b", "c"), major: number, minor: number, access });

describe("the program that keeps a step from devices", () => {
  it("allows what one rule allows, and nothing else", () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 6 }), use, (rules, wanted) => {
        const allows = (each: (typeof rules)[number]) =>
          (each.type === undefined || each.type === "a" || each.type === wanted.type) &&
          (each.major === undefined || each.major === wanted.major) &&
          (each.minor === undefined || each.minor === wanted.minor) &&
          wanted.access.every((one) => each.access.includes(one));
        const denying: DeviceRule = { allow: false, access: "rwm" };
        const program = deviceProgram([denying, ...rules.map((each) => ({ allow: true, ...each }))]);
        expect(decide(program, wanted)).toBe(rules.some(allows) ? 1 : 0);
      }),
    );
  });

  const { version, mounts, hybrid } = readCgroups();
  const mount = version === 2 ? mounts[0] : hybrid;
  const missing = process.getuid?.() === 0 && mount !== undefined ? "" : " (skipped: needs root and cgroup version 2)";
  it.skipIf(missing !== "")(`is obeyed by the kernel${missing}`, async () => {
    const cgroups = { version: 2, mounts: [mount ?? ""] } as const;
    const name = `/ashlar-guard-${process.pid}`;
    const inside = (script: string) => {
      const text = `echo $$ > "$0/cgroup.procs" || exit 9; ${script}`;
      return spawnSync("/bin/sh", ["-c", text, `${mount}${name}`], { encoding: "utf8" }).status;
    };
    try {
      guardDevices(cgroups, name, [
        { allow: false, access: "rwm" },
        { allow: true, type: "c", major: 10, minor: 200, access: "r" },
      ]);
      expect(inside("echo x > /dev/null && head -c 1 /dev/zero > /dev/null")).toBe(0);
      expect(inside("exec 3<> /dev/kmsg")).toBe(2);
      if (fs.existsSync("/dev/net/tun")) {
        expect(inside("exec 3< /dev/net/tun")).toBe(0);
        expect(inside("exec 3> /dev/net/tun")).toBe(2);
      }
    } finally {
      await removeCgroup(cgroups, name);
    }
    expect(fs.existsSync(`${mount}${name}`)).toBe(false);
  });
});
