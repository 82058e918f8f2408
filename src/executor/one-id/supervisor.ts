import os from "node:os";
import { systemCode } from "../../base/index.js";
import { syscallNumber } from "../seccomp-bpf.js";
import { creationCalls, runProgram } from "./creation-calls.js";
import { CredentialTable, rootIn } from "./credentials.js";
import { FILE_CALLS, type FileCall } from "./file-calls.js";
import { IDENTITY_CALLS } from "./identities.js";
import type { Native } from "./native.js";
import { type Answer, CONTINUE, Listener, type Notification } from "./notification.js";
import { Tracee } from "./tracee.js";

/** <linux/audit.h>, by `process.arch`. */
const AUDIT_ARCH: Readonly<Record<string, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
const WAIT_MS = 100;
const EIO = 5;

export interface Supervised {
  /** The filter's descriptor; the caller of `supervise` closes it. */
  readonly fd: number;
  /** The supplementary groups that the step begins with. */
  readonly groups: readonly number[];
  /** Throws to end it. */
  readonly checkCanceled: () => void;
}

/**
 * Answers the calls about owners and users of all processes under a filter until none of them is left. The user has one id, which all
 * files and processes have for the kernel; here each has the ids that it was given. What nothing is noted of the kernel answers itself.
 */
export function supervise(native: Native, { fd, groups, checkCanceled }: Supervised): void {
  const listener = new Listener(native, fd);
  const table = new CredentialTable(rootIn(groups));
  const calls = callsByNumber(listener);
  for (;;) {
    const call = listener.next(WAIT_MS);
    if (call === "ended") return;
    if (call) listener.answer(call, answerTo(call, { native, table, listener, calls }));
    else checkCanceled();
  }
}

interface Answering {
  readonly native: Native;
  readonly table: CredentialTable;
  readonly listener: Listener;
  readonly calls: ReadonlyMap<number, FileCall>;
}

function answerTo(call: Notification, { native, table, listener, calls }: Answering): Answer {
  const answer = call.arch === AUDIT_ARCH[process.arch] ? calls.get(call.number) : undefined;
  if (!answer || call.tid === 0) return CONTINUE;
  const tracee = new Tracee(call.tid);
  try {
    return answer(call, { native, tracee, table, isWaiting: () => listener.isWaiting(call) });
  } catch (error) {
    return failure(error);
  } finally {
    tracee.close();
  }
}

/** The caller's own mistakes are the kernel's to tell, with what it has for them. */
const MISTAKES = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "EBADF", "EFAULT", "ESRCH", "ENAMETOOLONG", "ENXIO"]);

function failure(error: unknown): Answer {
  const code = systemCode(error);
  if (code !== undefined && MISTAKES.has(code)) return CONTINUE;
  const errno = (os.constants.errno as Readonly<Record<string, number>>)[code ?? ""];
  return { kind: "error", errno: errno ?? EIO };
}

function callsByNumber(listener: Listener): ReadonlyMap<number, FileCall> {
  const arch = process.arch === "arm64" ? "arm64" : "x64";
  const identities = Object.entries(IDENTITY_CALLS).map(([name, answer]): [string, FileCall] => [
    name,
    (call, { tracee, table }) => answer(call, tracee, table),
  ]);
  const programs: [string, FileCall][] = [
    ["execve", runProgram(({ args: [at] }) => ({ at, follow: true }))],
    ["execveat", runProgram(({ args: [dirfd, at] }) => ({ dirfd, at, follow: true }))],
  ];
  const all = [...Object.entries(FILE_CALLS), ...Object.entries(creationCalls(listener)), ...identities, ...programs];
  return new Map(
    all.flatMap(([name, answer]) => {
      const number = syscallNumber(name, arch);
      return number === undefined ? [] : [[number, answer]];
    }),
  );
}
