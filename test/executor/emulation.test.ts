import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { emulationHint } from "../../src/executor/emulation.js";

describe("what is said of a step for another platform", () => {
  let handlers: string;
  beforeEach(() => {
    handlers = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-handlers-"));
  });
  afterEach(() => fs.rmSync(handlers, { recursive: true }));

  const hint = (architecture: string, host = "amd64") =>
    emulationHint({ host: { os: "linux", architecture: host }, platform: { os: "linux", architecture }, handlers });
  const register = (name: string, text: string) => fs.writeFileSync(path.join(handlers, name), text);

  it("is what to install where the kernel has no handler for it", () => {
    expect(hint("arm64")).toContain("apt-get install qemu-user-static");
    expect(hint("s390x")).toContain("can't run programs for s390x");
  });

  it("is nothing where the machine runs such programs", () => {
    register("qemu-aarch64", "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POF\noffset 0\n");
    expect([hint("arm64"), hint("amd64"), hint("386"), hint("arm", "arm64")]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("is what is wrong with the handler that is there", () => {
    register("qemu-aarch64", "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OC\noffset 0\n");
    register("qemu-x86_64", "disabled\ninterpreter /usr/bin/qemu-x86_64-static\nflags: F\noffset 0\n");
    expect(hint("arm64")).toContain("with the flag F");
    expect(hint("amd64", "arm64")).toContain("is disabled");
  });
});
