import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { capabilityMask, DEFAULT_CAPABILITIES, parseCapabilityMask } from "../../src/executor/capabilities.js";
import { CgroupParents } from "../../src/executor/cgroup-parents.js";
import {
  missingControllers,
  ownCgroup,
  parseCgroups,
  ranOutOfMemory,
  removeAbandonedCgroups,
  removeCgroup,
  stepCgroup,
} from "../../src/executor/cgroups.js";
import { startFailure } from "../../src/executor/failure.js";
import { exitMessage, findRuntime } from "../../src/executor/index.js";
import { findProgram } from "../../src/executor/programs.js";
import { RuntimeLog } from "../../src/executor/runtime-log.js";
import { controllersOf } from "../../src/executor/spec-resources.js";

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-parts-"));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

describe("capabilities", () => {
  it("are read from masks and written as masks", () => {
    expect(parseCapabilityMask("00000000a80425fb").sort()).toEqual([...DEFAULT_CAPABILITIES].sort());
    expect(capabilityMask(DEFAULT_CAPABILITIES)).toBe(0xa80425fbn);
    expect(parseCapabilityMask("ffffffffffffffff")).toHaveLength(41);
    expect(capabilityMask(["CAP_UNKNOWN"])).toBe(0n);
  });
});

describe("control groups", () => {
  const line = (point: string, type: string) => `30 24 0:26 / ${point} rw,relatime shared:9 - ${type} ${type} rw`;
  it("are version 2 where the root of the tree is", () => {
    expect(parseCgroups(line("/sys/fs/cgroup", "cgroup2"))).toEqual({ version: 2, mounts: ["/sys/fs/cgroup"] });
  });
  it("are one hierarchy per mount in version 1, with a version 2 hierarchy beside them or not", () => {
    const text = [
      line("/", "ext4"),
      line("/sys/fs/cgroup/cpu", "cgroup"),
      line("/sys/fs/cgroup/unified", "cgroup2"),
      line("/elsewhere", "cgroup"),
    ];
    expect(parseCgroups(text.join("\n"))).toEqual({
      version: 1,
      mounts: ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"],
      hybrid: "/sys/fs/cgroup/unified",
    });
    expect(parseCgroups(line("/", "ext4"))).toEqual({ version: 1, mounts: [], hybrid: undefined });
  });
  it("of version 2 tell which controllers they have", () => {
    const cgroups = { version: 2, mounts: [directory] } as const;
    expect(missingControllers(cgroups, ["memory"])).toEqual(["memory"]);
    fs.writeFileSync(path.join(directory, "cgroup.controllers"), "cpuset cpu io\n");
    expect(missingControllers(cgroups, ["memory", "cpu"])).toEqual(["memory"]);
    expect(missingControllers({ version: 1, mounts: [directory] }, ["memory"])).toEqual([]);
    expect(controllersOf({ memorySwapBytes: -1, cpuQuota: 1 })).toEqual(["memory", "cpu"]);
    expect(controllersOf({ cpusetMems: "0" })).toEqual(["cpuset"]);
  });
  it("are removed with what is below them, and never beyond their own", async () => {
    fs.mkdirSync(path.join(directory, "ashlar/a/b"), { recursive: true });
    await removeCgroup({ version: 2, mounts: [directory] }, "/ashlar/../../../ashlar/a");
    expect(fs.readdirSync(path.join(directory, "ashlar"))).toEqual([]);
    await expect(removeCgroup({ version: 2, mounts: [directory] }, "/..")).rejects.toMatchObject({ code: "internal" });
  });
  it("of steps whose engine is gone are removed where they are empty, and no others", () => {
    const uuid = "e5f92816-f003-4f3d-ba1d-c9c65a6031b4";
    const names = [
      `ashlar-5-${uuid}-2`,
      `ashlar-6-${uuid}-1/step`,
      `ashlar-7-${uuid}-1`,
      "ashlar-5-x-1",
      `my-5-${uuid}-1`,
    ];
    const mounts = ["cpu", "memory"].map((name) => path.join(directory, name));
    for (const mount of mounts) for (const name of names) fs.mkdirSync(path.join(mount, name), { recursive: true });
    fs.mkdirSync(path.join(directory, "cpu", `ashlar-8-${uuid}-1`, "step"), { recursive: true });
    removeAbandonedCgroups({ mounts }, (pid) => pid === 7);
    const left = [`ashlar-5-x-1`, `ashlar-7-${uuid}-1`, `my-5-${uuid}-1`];
    expect(mounts.map((mount) => fs.readdirSync(mount).sort())).toEqual([left, left]);
  });
});

describe("the control groups that steps are put below", () => {
  const shared = () => path.join(directory, "cpu", "jobs", "ci");

  it("are removed when the last step has ended, if they were missing and are empty", () => {
    const mounts = ["cpu", "memory"].map((name) => path.join(directory, name));
    fs.mkdirSync(path.join(directory, "cpu", "jobs"), { recursive: true });
    const parents = new CgroupParents({ version: 1, mounts });
    const first = parents.enter("/jobs/ci");
    for (const mount of mounts) fs.mkdirSync(path.join(mount, "jobs", "ci"), { recursive: true });
    const second = parents.enter("jobs/../jobs/ci");
    first[Symbol.dispose]();
    expect(fs.existsSync(shared())).toBe(true);
    second[Symbol.dispose]();
    expect(fs.readdirSync(path.join(directory, "cpu"))).toEqual(["jobs"]);
    expect(fs.readdirSync(path.join(directory, "cpu", "jobs"))).toEqual([]);
    expect(fs.readdirSync(path.join(directory, "memory"))).toEqual([]);
  });
  it("stay where somebody else uses them", () => {
    const parents = new CgroupParents({ version: 1, mounts: [path.join(directory, "cpu")] });
    const step = parents.enter("jobs/ci");
    fs.mkdirSync(path.join(shared(), "theirs"), { recursive: true });
    step[Symbol.dispose]();
    expect(fs.readdirSync(shared())).toEqual(["theirs"]);
    parents.enter("")[Symbol.dispose]();
  });
});

describe("the control group of a step", () => {
  it("is one of its own, in version 2 with another inside that the runtime makes and removes", () => {
    expect(stepCgroup({ version: 1, mounts: ["/m"] }, "", "x-1")).toEqual({ own: "/ashlar-x-1", path: "/ashlar-x-1" });
    const inner = stepCgroup({ version: 2, mounts: ["/m"] }, "ci/../jobs", "x-1");
    expect(inner).toEqual({ own: "/jobs/ashlar-x-1", path: "/jobs/ashlar-x-1/step" });
    expect([inner.path, "/ashlar-x-1", "/other/step"].map(ownCgroup)).toEqual([
      inner.own,
      "/ashlar-x-1",
      "/other/step",
    ]);
  });
  it("tells in version 2 whether the kernel killed for want of memory", () => {
    const cgroups = { version: 2, mounts: [directory] } as const;
    fs.mkdirSync(path.join(directory, "ashlar-a"));
    expect(ranOutOfMemory(cgroups, "/ashlar-a")).toBe(false);
    fs.writeFileSync(path.join(directory, "ashlar-a/memory.events"), "low 0\noom 1\noom_kill 0\n");
    expect(ranOutOfMemory(cgroups, "/ashlar-a")).toBe(false);
    fs.writeFileSync(path.join(directory, "ashlar-a/memory.events"), "low 0\noom 2\noom_kill 1\n");
    expect(ranOutOfMemory(cgroups, "/ashlar-a")).toBe(true);
    expect(ranOutOfMemory({ version: 1, mounts: [directory] }, "/ashlar-a")).toBe(false);
  });
});

describe("finding a runtime", () => {
  const program = (name: string, mode = 0o755) => fs.writeFileSync(path.join(directory, name), "", { mode });
  it("takes the first program of that name that may be run, then the system's", () => {
    program("crun", 0o644);
    expect(findProgram("crun", `relative:${directory}`)).not.toBe(path.join(directory, "crun"));
    fs.chmodSync(path.join(directory, "crun"), 0o755);
    expect(findRuntime({ searchPath: directory, only: "crun" })).toEqual({
      kind: "crun",
      file: path.join(directory, "crun"),
    });
  });
  it("finds nothing for a name that is nowhere", () => {
    expect(findProgram("no-such-runtime", directory)).toBeUndefined();
  });
});

describe("a runtime's words", () => {
  const heard: string[] = [];
  const listen = () => {
    heard.length = 0;
    return new RuntimeLog(path.join(directory, "log"), (fd, chunk) => heard.push(`${fd}:${Buffer.from(chunk)}`));
  };
  const log = (level: string, msg: string) =>
    fs.appendFileSync(path.join(directory, "log"), `${JSON.stringify({ level, msg })}\n`);
  const text = (words: string) => Buffer.from(words);

  it("are taken out of the step's error output where its log has them", () => {
    const output = listen();
    output.output(2, text("no such "));
    log("error", "no such thing");
    output.output(2, text("thing\n"));
    expect([output.finish(), heard, output.spoke]).toEqual(["no such thing", [], false]);
  });
  it("stay where the log does not have them", () => {
    const output = listen();
    log("warning", "something odd");
    output.output(1, text("out"));
    output.output(2, text("no such thing\n"));
    expect([output.finish(), heard, output.spoke]).toEqual([undefined, ["1:out", "2:no such thing\n"], true]);
  });
  it("that come after the step's are told apart", () => {
    const output = listen();
    output.output(1, text("out"));
    output.output(2, text("mine\n"));
    log("error", "late");
    output.output(2, text("last\nlate\n"));
    expect([output.finish(), heard]).toEqual(["late", ["1:out", "2:mine\n", "2:last\n"]]);
  });
  it("may be the entry that crun prints when execve fails", () => {
    const output = listen();
    output.output(2, text('{"msg":"exec container process `/x`: Exec format error","level":"error","time":"t"}\n'));
    expect([output.finish(), heard]).toEqual(["exec container process `/x`: Exec format error", []]);
  });
  it("mean exit code 1 where they blame the command", () => {
    const fault = (words: string) => startFailure("runc", words, "/state/mnt/1");
    expect(
      fault('runc run failed: unable to start container process: exec: "x": executable file not found in $PATH'),
    ).toEqual({
      kind: "exited",
      code: 1,
      reason: 'exec: "x": executable file not found in $PATH',
    });
    expect(
      fault(
        "runc run failed: unable to start container process: error during container init: mkdir /w: not a directory",
      ),
    ).toMatchObject({
      reason: "mkdir /w: not a directory",
    });
    expect(fault("open executable: Permission denied")).toMatchObject({ code: 1 });
  });
  it("are an error of the engine where they blame something else", () => {
    expect(() => startFailure("crun", "mount `proc`: no", "/r")).toThrow(
      "crun could not run the step: mount `proc`: no",
    );
    const inside = 'error mounting "/state/mnt/bind-0" to rootfs at "/proc/x": "/state/mnt/1/proc/x" cannot be mounted';
    expect(() => startFailure("runc", `runc run failed: ${inside}`, "/state/mnt/1")).toThrow(
      'runc could not run the step: mounting on "/proc/x": "/proc/x" cannot be mounted',
    );
  });
});

describe("the sentence of an exit", () => {
  it("is BuildKit's", () => {
    expect(exitMessage(["/bin/sh", "-c", 'echo "x"'], { kind: "exited", code: 3 })).toBe(
      'process "/bin/sh -c echo \\"x\\"" did not complete successfully: exit code: 3',
    );
    expect(exitMessage([""], { kind: "signaled", signal: "SIGKILL" })).toBe(
      'process "" did not complete successfully: killed by SIGKILL',
    );
  });
});
