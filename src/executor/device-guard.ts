import fs from "node:fs";
import { attachDeviceProgram, EngineError, systemCode } from "../base/index.js";
import { type Cgroups, cgroupDirectory } from "./cgroups.js";
import type { DeviceRule } from "./spec-resources.js";

/** What every container may use (runtime-spec, config-linux.md, Default Devices); nodes of others may be made, but not opened. */
const USUAL: readonly DeviceRule[] = [
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...[3, 5, 7, 8, 9].map((minor): DeviceRule => ({ allow: true, type: "c", major: 1, minor, access: "rwm" })),
  { allow: true, type: "c", major: 5, minor: 0, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 2, access: "rwm" },
  { allow: true, type: "c", major: 136, access: "rwm" },
];

/**
 * Keeps what will run in the control group NAME (version 2) from all devices but the usual ones and those that RULES allow, as a runtime
 * does with `linux.resources.devices`. The group is made where it is missing, and the caller's to remove. Throws EngineError `unavailable`.
 */
export function guardDevices(cgroups: Cgroups, name: string, rules: readonly DeviceRule[]): void {
  const directory = cgroupDirectory(cgroups, name);
  try {
    fs.mkdirSync(directory, { recursive: true });
    if (!rules.some(allowsAll)) attachDeviceProgram(directory, deviceProgram([...USUAL, ...rules]));
  } catch (error) {
    const words = "the step can't be kept from this machine's devices";
    throw new EngineError("unavailable", `${words}: ${systemCode(error) ?? error}`, { cause: error });
  }
}

function allowsAll({ allow, type }: DeviceRule): boolean {
  return allow && type === "a";
}

// <linux/bpf.h>, <linux/bpf_common.h>: codes of instructions, all on 32 bits
const LOAD_WORD = 0x61;
const MOVE = 0xbc;
const MOVE_CONSTANT = 0xb4;
const AND_CONSTANT = 0x54;
const SHIFT_RIGHT = 0x74;
const SKIP_UNLESS_EQUAL = 0x56;
const SKIP_IF_SET = 0x46;
const EXIT = 0x95;
/** struct bpf_cgroup_dev_ctx: u32 access_type (kind, and what is to be done in the upper half), u32 major, u32 minor. */
const OFFSETS = { access: 0, major: 4, minor: 8 };
const KINDS = { b: 1, c: 2 } as const;
const ACCESSES = { m: 1, r: 2, w: 4 } as const;
const ALL_ACCESSES = 7;
const [RESULT, CONTEXT, KIND, ACCESS, MAJOR, MINOR] = [0, 1, 2, 3, 4, 5] as const;

interface Instruction {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly constant?: number;
  /** Bytes for loads, instructions for jumps. */
  readonly offset?: number;
}

/** A program that allows what one of RULES allows, all of which it wants done at once, and nothing else. */
export function deviceProgram(rules: readonly DeviceRule[]): Buffer {
  return encode([
    { code: LOAD_WORD, to: KIND, from: CONTEXT, offset: OFFSETS.access },
    { code: LOAD_WORD, to: MAJOR, from: CONTEXT, offset: OFFSETS.major },
    { code: LOAD_WORD, to: MINOR, from: CONTEXT, offset: OFFSETS.minor },
    { code: MOVE, to: ACCESS, from: KIND },
    { code: SHIFT_RIGHT, to: ACCESS, constant: 16 },
    { code: AND_CONSTANT, to: KIND, constant: 0xffff },
    ...rules.filter(({ allow }) => allow).flatMap(allowing),
    ...answer(0),
  ]);
}

function allowing({ type = "a", major, minor, access }: DeviceRule): readonly Instruction[] {
  const refused = [...access].reduce(
    (left, each) => left & ~(ACCESSES[each as keyof typeof ACCESSES] ?? 0),
    ALL_ACCESSES,
  );
  const tests: Instruction[] = [
    ...(type === "a" ? [] : [{ code: SKIP_UNLESS_EQUAL, to: KIND, constant: KINDS[type] }]),
    ...(major === undefined ? [] : [{ code: SKIP_UNLESS_EQUAL, to: MAJOR, constant: major }]),
    ...(minor === undefined ? [] : [{ code: SKIP_UNLESS_EQUAL, to: MINOR, constant: minor }]),
    ...(refused === 0 ? [] : [{ code: SKIP_IF_SET, to: ACCESS, constant: refused }]),
  ];
  const yes = answer(1);
  const beyond = (i: number) => tests.length - i - 1 + yes.length;
  return [...tests.map((test, i) => ({ ...test, offset: beyond(i) })), ...yes];
}

function answer(constant: 0 | 1): readonly Instruction[] {
  return [{ code: MOVE_CONSTANT, to: RESULT, constant }, { code: EXIT }];
}

/** As an array of struct bpf_insn, little-endian. */
function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [i, { code, to = 0, from = 0, offset = 0, constant = 0 }] of program.entries()) {
    bytes.writeUInt8(code, i * 8);
    bytes.writeUInt8((from << 4) | to, i * 8 + 1);
    bytes.writeInt16LE(offset, i * 8 + 2);
    bytes.writeUInt32LE(constant >>> 0, i * 8 + 4);
  }
  return bytes;
}
