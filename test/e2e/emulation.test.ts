import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { needsPeer, World } from "./world.js";

const HANDLERS = "/proc/sys/fs/binfmt_misc";
const HANDLER = `${HANDLERS}/qemu-aarch64`;

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

/** A static program for arm64 that writes `made on arm64` and ends with 0: an ELF header, one segment, eight instructions. */
function arm64Program(): Uint8Array {
  const text = Buffer.from("made on arm64\n");
  const code = [
    0xd2800020, // mov x0, #1
    0x100000e1, // adr x1, text
    0xd2800002 | (text.length << 5), // mov x2, #length
    0xd2800808, // mov x8, #64 (write)
    0xd4000001, // svc #0
    0xd2800000, // mov x0, #0
    0xd2800ba8, // mov x8, #93 (exit)
    0xd4000001, // svc #0
  ];
  const headers = 64 + 56;
  const file = Buffer.alloc(headers + code.length * 4 + text.length);
  file.write("\x7fELF\x02\x01\x01", "latin1"); // 64 bits, little endian
  file.writeUInt16LE(2, 16); // executable
  file.writeUInt16LE(183, 18); // AArch64
  file.writeUInt32LE(1, 20);
  const address = 0x400000n;
  file.writeBigUInt64LE(address + BigInt(headers), 24); // entry
  file.writeBigUInt64LE(64n, 32); // program headers
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(5, 68); // readable, executable
  for (const at of [80, 88]) file.writeBigUInt64LE(address, at);
  for (const at of [96, 104]) file.writeBigUInt64LE(BigInt(file.length), at);
  file.writeBigUInt64LE(0x1000n, 112);
  for (const [i, word] of code.entries()) file.writeUInt32LE(word >>> 0, headers + i * 4);
  text.copy(file, headers + code.length * 4);
  return file;
}

function context(): string {
  const directory = world.files({
    Dockerfile: 'FROM scratch\nCOPY --chmod=755 program /program\nRUN ["/program"]\n',
    program: arm64Program(),
  });
  return directory;
}

/** Has the kernel hand arm64 programs to qemu; the function undoes that. Undefined where the machine does not let us. */
function registerQemu(): (() => void) | undefined {
  if (fs.existsSync(HANDLER)) return () => undefined;
  const made: (() => void)[] = [];
  const undo = () => {
    for (const step of made.reverse()) step();
  };
  try {
    if (!fs.existsSync(`${HANDLERS}/register`)) {
      execFileSync("mount", ["-t", "binfmt_misc", "none", HANDLERS], { stdio: "ignore" });
      made.push(() => execFileSync("umount", [HANDLERS]));
    }
    const file = execFileSync("sh", ["-c", "command -v qemu-aarch64-static"], { encoding: "utf8" }).trim();
    const escaped = (bytes: readonly number[]) =>
      bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
    const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xb7, 0];
    const mask = magic.map((_, i) => (i === 7 ? 0 : i === 16 ? 0xfe : 0xff));
    fs.writeFileSync(`${HANDLERS}/register`, `:qemu-aarch64:M::${escaped(magic)}:${escaped(mask)}:${file}:F`);
    made.push(() => fs.writeFileSync(HANDLER, "-1"));
    return undo;
  } catch {
    undo();
    return undefined;
  }
}

describe("a step for another platform", () => {
  test.runIf(process.arch === "x64")("runs where the kernel hands it to an emulator", async (context_) => {
    needsPeer(context_, "qemu-aarch64-static");
    const unregister = registerQemu();
    if (unregister === undefined) return context_.skip(`handlers can't be registered in ${HANDLERS} here`);
    try {
      const built = await world.build(["--platform=linux/arm64", context()]);
      expect(built.stderr).toContain("made on arm64");
      expect(built.code).toBe(0);
    } finally {
      unregister();
    }
  });

  test.runIf(process.arch === "x64")("says what to install where nothing runs it", async (context_) => {
    if (fs.existsSync(HANDLER)) return context_.skip("this machine has an emulator registered");
    const built = await world.build(["--platform=linux/arm64", context()]);
    expect(built.code).toBe(1);
    expect(built.stderr).toContain(
      "can't run programs for arm64; install an emulator: apt-get install qemu-user-static",
    );
  });
});
