import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Executor, Exit, RunOptions, StepProcess } from "../../src/executor/index.js";
import { type Spawner, type StateDirs, stateDirs } from "../../src/snapshot/index.js";

/** Starts programs as children of this process. */
export const directSpawner: Spawner = {
  async spawn({ argv, env, cwd, stdio, extraFiles = [] }, onOutput) {
    const [command = "", ...args] = argv;
    const files = extraFiles.map((file) => fs.openSync(file.path, file.flags));
    const base =
      stdio !== "pipe" ? (["inherit", "inherit", "inherit"] as const) : (["ignore", "pipe", "pipe"] as const);
    const child = spawn(command, args, { env: { ...env }, cwd, stdio: [...base, ...files] });
    child.stdout?.on("data", (chunk: Buffer) => onOutput(1, chunk));
    child.stderr?.on("data", (chunk: Buffer) => onOutput(2, chunk));
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    for (const fd of files) fs.closeSync(fd);
    return {
      pid: child.pid ?? -1,
      exit: new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal }))),
      kill: (signal) => void child.kill(signal),
    };
  },
};

/** A state directory and a root file system of busybox, as the conformance cases have it. */
export interface Ground {
  readonly dirs: StateDirs;
  readonly rootfs: string;
}

/** Makes a ground; `removeGround` takes it away. */
export function makeGround(): Ground {
  const dirs = stateDirs(fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-executor-")));
  for (const directory of [dirs.run, dirs.owners, dirs.tmp]) fs.mkdirSync(directory, { recursive: true });
  const rootfs = path.join(dirs.root, "rootfs");
  const make = (name: string, mode = 0o755) => {
    fs.mkdirSync(path.join(rootfs, name), { recursive: true });
    fs.chmodSync(path.join(rootfs, name), mode);
  };
  for (const name of ["", "bin", "etc", "home/app", "dev", "proc", "sys"]) make(name);
  make("tmp", 0o1777);
  make("root", 0o700);
  fs.copyFileSync("/bin/busybox", path.join(rootfs, "bin/busybox"));
  for (const applet of APPLETS) fs.symlinkSync("busybox", path.join(rootfs, "bin", applet));
  fs.writeFileSync(
    path.join(rootfs, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n",
  );
  fs.writeFileSync(path.join(rootfs, "etc/group"), "root:x:0:\napp:x:1000:\nstaff:x:50:app\n");
  return { dirs, rootfs };
}

export function removeGround({ dirs }: Ground): void {
  fs.rmSync(dirs.root, { recursive: true, force: true });
}

const APPLETS =
  "sh true false cat echo ls grep sed awk head tr sort stat df id pwd hostname mount umount mknod mkdir rmdir rm chmod chown touch sleep setsid wc ip ps kill readlink unshare chroot ping tail env dd nc hexdump tee".split(
    " ",
  );

/** A step of SCRIPT in a shell, as root, with nothing special. */
export function shell(script: string, changes: Partial<StepProcess> = {}): StepProcess {
  return {
    args: ["/bin/sh", "-c", script],
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    cwd: "/",
    user: { uid: 0, gid: 0, groups: [0] },
    mounts: [],
    hostname: "buildkitsandbox",
    network: "sandbox",
    security: "sandbox",
    extraHosts: [],
    ulimits: [],
    ...changes,
  };
}

export interface Ran {
  readonly exit: Exit;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a step to its end and collects what it said. */
export async function run(
  executor: Executor,
  step: StepProcess,
  rootfs: string,
  options: Partial<RunOptions> = {},
): Promise<Ran> {
  const said: Record<1 | 2, Uint8Array[]> = { 1: [], 2: [] };
  const exit = await executor.run(step, rootfs, { ...options, onOutput: (fd, chunk) => said[fd].push(chunk) });
  return { exit, stdout: Buffer.concat(said[1]).toString("latin1"), stderr: Buffer.concat(said[2]).toString("latin1") };
}
