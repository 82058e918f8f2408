import path from "node:path";
import type { SeccompRule, SeccompSpec } from "../seccomp-profile.js";

/** The supervisor's socket, beside the bundle's configuration. */
export const LISTENER = "owners.sock";
/** Longer paths are no addresses (unix(7)). */
const ADDRESS_MAX_BYTES = 107;

/** Where the runtime finds the socket of the bundle in DIRECTORY, which is its cwd: crun wants to hear all of the path. */
function listenerIn(directory: string): string {
  const file = path.join(directory, LISTENER);
  return Buffer.byteLength(file) <= ADDRESS_MAX_BYTES ? file : LISTENER;
}

/** Calls that always ask the supervisor. */
const CALLS: readonly string[] = [
  "chown lchown fchown fchownat",
  "stat lstat fstat newfstatat statx",
  "setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid",
  "getuid geteuid getgid getegid getresuid getresgid getgroups",
  "mknod mknodat mkdir mkdirat symlink symlinkat creat execve execveat prctl",
]
  .join(" ")
  .split(" ");

interface FlaggedCall {
  readonly name: string;
  /** Which argument holds its flags, and the one that matters. */
  readonly index: number;
  readonly flag: number;
}

const O_CREAT = 0o100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const FLAGGED: readonly FlaggedCall[] = [
  { name: "open", index: 1, flag: O_CREAT },
  { name: "openat", index: 2, flag: O_CREAT },
  { name: "utimensat", index: 3, flag: AT_SYMLINK_NOFOLLOW },
];

export interface Supervision {
  /** The bundle's. */
  readonly directory: string;
  /** What the machine's kernel runs, as filters name it. */
  readonly architectures: readonly string[];
}

/**
 * SECCOMP with the calls about owners and users handed to a supervisor, where they are allowed at all. Without a filter, one that does
 * nothing else.
 */
export function supervisedSeccomp(
  seccomp: SeccompSpec | undefined,
  { directory, architectures }: Supervision,
): SeccompSpec {
  const base: SeccompSpec = seccomp ?? {
    defaultAction: "SCMP_ACT_ALLOW",
    defaultErrnoRet: 0,
    architectures,
    syscalls: [],
  };
  const taken = new Set([...CALLS, ...FLAGGED.map(({ name }) => name)]);
  return {
    ...base,
    listenerPath: listenerIn(directory),
    syscalls: [
      ...base.syscalls.map((rule) => ({ ...rule, names: rule.names.filter((name) => !taken.has(name)) })),
      { names: CALLS, action: "SCMP_ACT_NOTIFY" },
      ...FLAGGED.flatMap(flaggedRules),
    ],
  };
}

function flaggedRules({ name, index, flag }: FlaggedCall): SeccompRule[] {
  const when = (valueTwo: number) => [{ index, value: flag, valueTwo, op: "SCMP_CMP_MASKED_EQ" as const }];
  return [
    { names: [name], action: "SCMP_ACT_NOTIFY", args: when(flag) },
    { names: [name], action: "SCMP_ACT_ALLOW", args: when(0) },
  ];
}
