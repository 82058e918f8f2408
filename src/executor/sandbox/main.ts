import fs from "node:fs";
import path from "node:path";
import { messageOf, systemCode } from "../../base/index.js";
import { findSupervisor, type Supervisor } from "../one-id/handover.js";
import type { RuntimeSpec } from "../runtime-spec.js";
import { compileSeccomp, encodeProgram, hasSyscallNumbers } from "../seccomp-bpf.js";
import { becomeUser, limit } from "./identity.js";
import { mountAll } from "./mounts.js";
import { loadNative } from "./native.js";
import { lookUpProgram, withHome } from "./program.js";
import { StartFailure } from "./start-failure.js";

/**
 * A small OCI runtime for the built-in sandbox: `--bundle DIR`. It is the first process of fresh mount, pid, uts and ipc namespaces and
 * becomes the step; where it cannot, it says why in DIR/log as runc does, and exits with 1.
 */
const bundle = process.argv[process.argv.indexOf("--bundle") + 1] ?? "";
const outside = process.argv[process.argv.indexOf("--outside") + 1] ?? "";
const log = fs.openSync(path.join(bundle, "log"), "a", 0o600);
try {
  becomeStep(JSON.parse(fs.readFileSync(path.join(bundle, "config.json"), "utf8")) as RuntimeSpec);
} catch (error) {
  fs.writeSync(log, `${JSON.stringify({ level: "error", msg: messageOf(error) })}\n`);
  process.exit(1);
}

function becomeStep(spec: RuntimeSpec): never {
  const { arch } = process;
  const native = loadNative();
  if (spec.linux.seccomp && !hasSyscallNumbers(arch))
    throw new Error(`the sandbox has no system call filter for ${arch}`);
  const filter =
    spec.linux.seccomp && hasSyscallNumbers(arch) ? encodeProgram(compileSeccomp(spec.linux.seccomp, arch)) : undefined;
  // What follows changes the namespaces we are in: they must not be the machine's.
  if (!outside.startsWith("uts:") || fs.readlinkSync("/proc/self/ns/uts") === outside)
    throw new Error("the sandbox was started outside its namespaces");
  // Signals to a process group know no namespaces: the step must not share the engine's.
  native.setSession();
  if (spec.process.terminal) {
    native.takeTerminal();
    giveTerminal(spec.process.user.uid);
  }
  native.sethostname(spec.hostname);
  if (spec.linux.namespaces.some(({ type }) => type === "network")) native.raiseLoopback();
  native.umask(0);
  const supervisor = spec.linux.seccomp?.listenerPath === undefined ? undefined : supervisorOf(bundle);
  const root = mountAll(spec, native);
  process.chdir(`/proc/self/fd/${root}`);
  fs.closeSync(root);
  native.takeRoot();
  enter(spec.process.cwd);
  limit(spec.process, native);
  const env = withHome(spec.process.env, spec.process.user.uid);
  // While we still may, without giving up setuid programs.
  if (filter && supervisor) supervisor.hand(native.loadSupervisedFilter(filter));
  else if (filter) native.loadFilter(filter);
  becomeUser(spec.process, native);
  native.umask(spec.process.user.umask);
  const program = lookUpProgram(spec.process.args[0] ?? "", env);
  native.resetInheritance();
  try {
    return native.execve(program, spec.process.args, env);
  } catch (error) {
    const reason =
      systemCode(error) === "ENOEXEC"
        ? "exec format error"
        : systemCode(error) === "ENOENT"
          ? "no such file or directory"
          : messageOf(error);
    throw new StartFailure(`exec: ${JSON.stringify(program)}: ${reason}`);
  }
}

/** Its user can open the terminal again, as with other runtimes. A user namespace may not know the group of terminals. */
function giveTerminal(uid: number): void {
  try {
    fs.fchownSync(0, uid, fs.fstatSync(0).gid);
  } catch (error) {
    if (systemCode(error) !== "EPERM" && systemCode(error) !== "EINVAL") throw error;
  }
}

/** An address may not be as long as a path. */
function supervisorOf(directory: string): Supervisor {
  process.chdir(directory);
  return findSupervisor();
}

function enter(cwd: string): void {
  try {
    fs.mkdirSync(cwd, { recursive: true, mode: 0o755 });
    process.chdir(cwd);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOTDIR" || code === "EEXIST")
      throw new StartFailure(`chdir to cwd (${JSON.stringify(cwd)}): not a directory`);
    throw new StartFailure(`chdir to cwd (${JSON.stringify(cwd)}): ${messageOf(error)}`);
  }
}
