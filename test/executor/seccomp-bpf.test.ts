import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_CAPABILITIES } from "../../src/executor/capabilities.js";
import {
  BPF_AND_K,
  BPF_JA,
  BPF_JEQ_K,
  BPF_JGE_K,
  BPF_LD_W_ABS,
  BPF_RET_K,
  compileSeccomp,
  encodeProgram,
  type Instruction,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  syscallNumber,
} from "../../src/executor/seccomp-bpf.js";
import { defaultSeccomp, type SeccompSpec } from "../../src/executor/seccomp-profile.js";

interface Call {
  readonly number: number;
  readonly args: readonly bigint[];
  readonly arch?: number;
}

/** Runs a program as the kernel does. */
function execute(program: readonly Instruction[], { number, args, arch = 0xc000003e }: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(arch, 4);
  for (const [i, value] of args.entries()) data.writeBigUInt64LE(value, 16 + i * 8);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const step = program[at];
    if (!step) throw new Error("ran off the end");
    const { code, jt, jf, k } = step;
    if (code === BPF_LD_W_ABS) accumulator = data.readUInt32LE(k);
    else if (code === BPF_AND_K) accumulator = (accumulator & k) >>> 0;
    else if (code === BPF_JA) at += k;
    else if (code === BPF_JEQ_K) at += accumulator === k ? jt : jf;
    else if (code === BPF_JGE_K) at += accumulator >= k ? jt : jf;
    else if (code === BPF_RET_K) return k;
    else throw new Error(`unknown instruction ${code}`);
  }
}

/** What the rules mean, said plainly. */
function expected(spec: SeccompSpec, { number, args }: Call): number {
  const value = (action: string, errno = 1) =>
    action === "SCMP_ACT_ALLOW" ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | errno;
  const rules = spec.syscalls.filter(({ names }) => names.some((name) => syscallNumber(name, "x64") === number));
  const plain = rules.find((rule) => !rule.args);
  if (plain) return value(plain.action, plain.errnoRet);
  const met = rules.find((rule) =>
    rule.args?.every(({ index, op, value: operand, valueTwo = 0 }) => {
      const arg = args[index] ?? 0n;
      return op === "SCMP_CMP_EQ" ? arg === BigInt(operand) : (arg & BigInt(operand)) === BigInt(valueTwo);
    }),
  );
  return met ? value(met.action, met.errnoRet) : SECCOMP_RET_ERRNO | spec.defaultErrnoRet;
}

const spec = defaultSeccomp(DEFAULT_CAPABILITIES, "x64");
const program = compileSeccomp(spec, "x64");
const call = (name: string, ...args: bigint[]): Call => ({ number: syscallNumber(name, "x64") ?? -1, args });
const EPERM = SECCOMP_RET_ERRNO | 1;
const ENOSYS = SECCOMP_RET_ERRNO | 38;

describe("a compiled filter", () => {
  it("says of every call what the rules say", () => {
    const argument = fc.oneof(
      fc.constantFrom(
        0n,
        1n,
        2n,
        8n,
        16n,
        38n,
        40n,
        0x20000n,
        0x20008n,
        0xffffffffn,
        0x7e020000n,
        0x10000000n,
        1n << 32n,
        (1n << 32n) + 2n,
      ),
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    );
    const special = ["socket", "clone", "clone3", "personality"].map((name) => syscallNumber(name, "x64") ?? 0);
    const number = fc.oneof(fc.nat({ max: 600 }), fc.constantFrom(...special));
    fc.assert(
      fc.property(number, fc.array(argument, { minLength: 6, maxLength: 6 }), (callNumber, args) => {
        expect(execute(program, { number: callNumber, args })).toBe(expected(spec, { number: callNumber, args }));
      }),
      { numRuns: 3000 },
    );
    for (let n = 0; n < 600; n++)
      expect(execute(program, { number: n, args: [99n] })).toBe(expected(spec, { number: n, args: [99n] }));
  });
  it("allows threads and refuses namespaces", () => {
    expect(execute(program, call("clone", 0x3d0f00n))).toBe(SECCOMP_RET_ALLOW);
    expect(execute(program, call("clone", 0x10000011n))).toBe(EPERM);
    expect(execute(program, call("clone3", 0n))).toBe(ENOSYS);
  });
  it("refuses the calls of other conventions", () => {
    const read = { number: 0, args: [] };
    expect(execute(program, read)).toBe(SECCOMP_RET_ALLOW);
    expect(execute(program, { ...read, arch: 0x40000003 })).toBe(ENOSYS);
    expect(execute(program, { ...read, number: 0x40000000 })).toBe(ENOSYS);
  });
  it("is made for arm64 too", () => {
    const arm = compileSeccomp(defaultSeccomp(DEFAULT_CAPABILITIES, "arm64"), "arm64");
    const number = (name: string) => syscallNumber(name, "arm64") ?? -1;
    const run = (name: string, ...args: bigint[]) => execute(arm, { number: number(name), args, arch: 0xc00000b7 });
    expect([run("openat"), run("mount"), run("socket", 40n), run("socket", 2n)]).toEqual([
      SECCOMP_RET_ALLOW,
      EPERM,
      EPERM,
      SECCOMP_RET_ALLOW,
    ]);
    expect([number("openat"), number("newfstatat"), number("clone"), number("execve")]).toEqual([56, 79, 220, 221]);
  });
  it("is encoded as the kernel reads it", () => {
    expect(encodeProgram([{ code: BPF_RET_K, jt: 1, jf: 2, k: 0x7fff0000 }]).toString("hex")).toBe(
      "0600010200" + "00ff7f",
    );
    expect(program.length).toBeLessThan(1000);
  });
});
