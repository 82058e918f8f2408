import fs from "node:fs";
import { lazy } from "./lazy.js";
import { cLibrary } from "./libc.js";
import { SystemCallError } from "./syscalls.js";

const SYS_BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
// <linux/bpf.h>
const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
const ATTRIBUTE_BYTES = 64;
const INSTRUCTION_BYTES = 8;
/** No function of the kernel's is called, so none asks for a free one. */
const LICENSE = Buffer.from("Apache-2.0\0");

const library = lazy(() => {
  const { koffi, libc } = cLibrary();
  const call = libc.func("long syscall(long number, int command, const void *attributes, uint32_t size)");
  return { koffi, call: call as (...values: unknown[]) => number | bigint };
});

/**
 * Has PROGRAM, instructions of eBPF, decide about every use of a device in the control group DIRECTORY (version 2) and below, beside what
 * others have attached there. It goes away with the group. Throws SystemCallError.
 */
export function attachDeviceProgram(directory: string, program: Buffer): void {
  const { koffi } = library();
  const load = Buffer.alloc(ATTRIBUTE_BYTES);
  load.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0);
  load.writeUInt32LE(program.length / INSTRUCTION_BYTES, 4);
  load.writeBigUInt64LE(BigInt(koffi.address(program)), 8);
  load.writeBigUInt64LE(BigInt(koffi.address(LICENSE)), 16);
  const loaded = bpf(BPF_PROG_LOAD, load, "a program for devices");
  try {
    const group = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      const attach = Buffer.alloc(ATTRIBUTE_BYTES);
      for (const [i, value] of [group, loaded, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI].entries())
        attach.writeUInt32LE(value, i * 4);
      bpf(BPF_PROG_ATTACH, attach, directory);
    } finally {
      fs.closeSync(group);
    }
  } finally {
    fs.closeSync(loaded);
  }
}

function bpf(command: number, attributes: Buffer, detail: string): number {
  const { koffi, call } = library();
  const result = Number(call(SYS_BPF[process.arch] ?? -1, command, attributes, attributes.length));
  if (result < 0) throw new SystemCallError("bpf", koffi.errno(), detail);
  return result;
}
