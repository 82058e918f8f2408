import { unreachable } from "../base/index.js";
import type { SeccompArgument, SeccompRule, SeccompSpec } from "./seccomp-profile.js";
import numbers from "./syscall-numbers.json" with { type: "json" };

/** Instructions of classic BPF as seccomp(2) takes them: code, jump if true, jump if false, constant. */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

// <linux/bpf_common.h>
export const BPF_LD_W_ABS = 0x20;
export const BPF_AND_K = 0x54;
export const BPF_JA = 0x05;
export const BPF_JEQ_K = 0x15;
export const BPF_JGE_K = 0x35;
export const BPF_RET_K = 0x06;
const BPF_MAXINSNS = 4096;

// <linux/seccomp.h>, struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6]
const OFFSET_NR = 0;
const OFFSET_ARCH = 4;
const OFFSET_ARGS = 16;
const ARGUMENT_BYTES = 8;
export const SECCOMP_RET_ALLOW = 0x7fff0000;
export const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
export const SECCOMP_RET_ERRNO = 0x00050000;
const ERRNO_MASK = 0xffff;
const ENOSYS = 38;
/** In a call's number: it follows the x32 convention. Real numbers are far smaller. */
const FOREIGN_NUMBERS = 0x40000000;

/** <linux/audit.h>, by `process.arch`. */
const AUDIT_ARCH: Readonly<Record<string, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };

/** Whether filters can be made for `process.arch`. */
export function hasSyscallNumbers(nodeArch: string): nodeArch is keyof typeof numbers {
  return nodeArch in AUDIT_ARCH;
}

/** The number of a system call, or undefined where the architecture has none. */
export function syscallNumber(name: string, nodeArch: keyof typeof numbers): number | undefined {
  return (numbers[nodeArch] as Readonly<Record<string, number>>)[name];
}

/**
 * Compiles a filter for the native calls of NODE_ARCH. Calls of the machine's other conventions (32 bit, x32) do not exist (ENOSYS): their
 * numbers mean other calls. A rule's action applies where all its arguments match; an unconditional one wins; else the default.
 */
export function compileSeccomp(spec: SeccompSpec, nodeArch: keyof typeof numbers): Instruction[] {
  const program = [
    load(OFFSET_ARCH),
    jump(BPF_JEQ_K, AUDIT_ARCH[nodeArch] ?? 0, 1, 0),
    result(SECCOMP_RET_ERRNO | ENOSYS),
    load(OFFSET_NR),
    jump(BPF_JGE_K, FOREIGN_NUMBERS, 0, 1),
    result(SECCOMP_RET_ERRNO | ENOSYS),
    ...search(intervals(spec, nodeArch)),
  ];
  if (program.length > BPF_MAXINSNS) throw new RangeError(`a filter of ${program.length} instructions`);
  return program;
}

/** The program as the bytes of an array of struct sock_filter, little-endian. */
export function encodeProgram(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(jt, i * 8 + 2);
    bytes.writeUInt8(jf, i * 8 + 3);
    bytes.writeUInt32LE(k, i * 8 + 4);
  }
  return bytes;
}

interface Condition {
  readonly args: readonly SeccompArgument[];
  readonly action: number;
}

/** What happens to calls with a number from FROM on, up to the next interval. */
interface Interval {
  readonly from: number;
  readonly conditions: readonly Condition[];
  readonly otherwise: number;
}

function intervals(spec: SeccompSpec, nodeArch: keyof typeof numbers): Interval[] {
  const fallback =
    spec.defaultAction === "SCMP_ACT_ALLOW"
      ? SECCOMP_RET_ALLOW
      : SECCOMP_RET_ERRNO | (spec.defaultErrnoRet & ERRNO_MASK);
  const calls = new Map<number, { conditions: Condition[]; otherwise: number; readonly settled: boolean }>();
  for (const rule of spec.syscalls) {
    const action = resultOf(rule);
    for (const name of rule.names) {
      const number = syscallNumber(name, nodeArch);
      if (number === undefined) continue;
      const call = calls.get(number) ?? { conditions: [], otherwise: fallback, settled: false };
      if (call.settled) continue;
      calls.set(number, rule.args ? call : { conditions: [], otherwise: action, settled: true });
      if (rule.args) call.conditions.push({ args: rule.args, action });
    }
  }
  const found: Interval[] = [{ from: 0, conditions: [], otherwise: fallback }];
  for (const number of [...calls.keys()].sort((a, b) => a - b)) {
    for (const from of [number, number + 1]) {
      const { conditions, otherwise } = calls.get(from) ?? { conditions: [], otherwise: fallback };
      const last = found.at(-1);
      if (last?.from === from) found.pop();
      const before = found.at(-1);
      if (before && before.conditions.length === 0 && conditions.length === 0 && before.otherwise === otherwise)
        continue;
      found.push({ from, conditions, otherwise });
    }
  }
  return found;
}

function resultOf({ action, errnoRet = 1 }: SeccompRule): number {
  switch (action) {
    case "SCMP_ACT_ALLOW":
      return SECCOMP_RET_ALLOW;
    case "SCMP_ACT_NOTIFY":
      return SECCOMP_RET_USER_NOTIF;
    case "SCMP_ACT_ERRNO":
      return SECCOMP_RET_ERRNO | (errnoRet & ERRNO_MASK);
    default:
      return unreachable(action);
  }
}

/** A binary search over intervals; the number is in the accumulator. */
function search(list: readonly Interval[]): Instruction[] {
  const [only] = list;
  if (only && list.length === 1) return leaf(only);
  const middle = list.length >> 1;
  const lower = search(list.slice(0, middle));
  return [
    jump(BPF_JGE_K, list[middle]?.from ?? 0, 0, 1),
    { code: BPF_JA, jt: 0, jf: 0, k: lower.length },
    ...lower,
    ...search(list.slice(middle)),
  ];
}

function leaf({ conditions, otherwise }: Interval): Instruction[] {
  return [...conditions.flatMap(({ args, action }) => condition(args, action)), result(otherwise)];
}

/** Compares both halves of each argument; at the first that differs goes on behind the result. */
function condition(args: readonly SeccompArgument[], action: number): Instruction[] {
  const tests = args.flatMap(({ index, value, valueTwo = 0, op }) => {
    const at = OFFSET_ARGS + index * ARGUMENT_BYTES;
    const masked = op === "SCMP_CMP_MASKED_EQ";
    return [at, at + ARGUMENT_BYTES / 2].map((offset, half) => ({
      offset,
      mask: masked ? halfOf(value, half) : undefined,
      expected: halfOf(masked ? valueTwo : value, half),
    }));
  });
  const lengths = tests.map(({ mask }) => (mask === undefined ? 2 : 3));
  return [
    ...tests.flatMap(({ offset, mask, expected }, i) => {
      const rest = lengths.slice(i + 1).reduce((sum, length) => sum + length, 0);
      const and = mask === undefined ? [] : [{ code: BPF_AND_K, jt: 0, jf: 0, k: mask }];
      return [load(offset), ...and, jump(BPF_JEQ_K, expected, 0, rest + 1)];
    }),
    result(action),
  ];
}

function halfOf(value: number, half: number): number {
  return Number((BigInt(value) >> BigInt(half * 32)) & 0xffffffffn);
}

function load(k: number): Instruction {
  return { code: BPF_LD_W_ABS, jt: 0, jf: 0, k };
}

function jump(code: number, k: number, jt: number, jf: number): Instruction {
  return { code, jt, jf, k };
}

function result(k: number): Instruction {
  return { code: BPF_RET_K, jt: 0, jf: 0, k };
}
