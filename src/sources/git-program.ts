import { type AbortOptions, canceled, EngineError, redactCredentials } from "../base/index.js";
import type { Spawned, Spawner } from "../snapshot/index.js";

/** The programs that git runs with, as files of the host. */
export interface GitPrograms {
  readonly git: string;
  /** Of util-linux: they tie git's life to the engine's and take its privileges away. */
  readonly setpriv: string;
  readonly unshare: string;
}

/** A transport that git may use; whatever else an address or a repository names is refused by git. */
export type GitTransport = "network" | "local" | "none";

export interface GitCommand extends AbortOptions {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly gitDir?: string;
  readonly workTree?: string;
  readonly indexFile?: string;
  readonly transport: GitTransport;
  /** Settings for this command alone. They go through the environment, so that no other user sees them. */
  readonly config?: readonly (readonly [name: string, value: string])[];
  /** The agent that ssh may ask for keys. */
  readonly sshSocket?: string | undefined;
  /** What git says while it works. */
  readonly onLog?: ((chunk: Uint8Array) => void) | undefined;
}

export interface GitProgram {
  /** What git prints. Throws GitFailure where it exits with another code than 0, `unavailable` without git, and `canceled`. */
  run(command: GitCommand): Promise<string>;
}

/** Git said no. */
export class GitFailure extends EngineError {
  /** All it said, with no more than the end of it where that was much. */
  readonly stderr: string;

  constructor(stderr: string) {
    super("failed", summaryOf(stderr));
    this.stderr = stderr;
  }
}

export interface GitProgramOptions {
  readonly spawner: Spawner;
  /** Finds the programs; throws `unavailable` naming the package. */
  readonly programs: () => Promise<GitPrograms>;
  readonly searchPath: string;
  /** HTTP_PROXY and its like, as the caller has them. */
  readonly proxyEnv: Readonly<Record<string, string>>;
  /** Files with host keys. New ones are remembered in the first. */
  readonly knownHosts: readonly string[];
  /** A file of certificate authorities for git, in place of its own. */
  readonly certificates: string | undefined;
}

export function createGitProgram(options: GitProgramOptions): GitProgram {
  return { run: (command) => run(options, command) };
}

/** Bytes of what git prints for us; and of what it says to people, of which the end is kept. */
const STDOUT_BYTES_MAX = 8 << 20;
const STDERR_BYTES_KEPT = 16 << 10;
/** The largest file git may write, in blocks of 512 bytes: 64 GiB. */
const FILE_BLOCKS_MAX = 2 ** 27;
/** A transfer that stands still for so long is given up. Seconds. */
const STALL_SECONDS = 60;
const SSH_CONNECT_SECONDS = 20;

const PROTOCOLS: Readonly<Record<GitTransport, string>> = {
  network: "http:https:git:ssh",
  local: "file",
  none: "none",
};

/**
 * The first process of a pid namespace is a shell, with which git and all its helpers die; it writes to the engine first, since a pipe
 * that has no reader ends one that came too late to be told. Files are made as a user with the usual mask makes them.
 */
const SUPERVISOR = `echo >&2 || exit 1; umask 022; ulimit -f ${FILE_BLOCKS_MAX} 2>/dev/null; "$@"; exit $?`;

async function run(options: GitProgramOptions, command: GitCommand): Promise<string> {
  const { signal, onLog } = command;
  if (signal?.aborted) throw canceled(signal);
  const { git, setpriv, unshare } = await options.programs();
  const life = [setpriv, "--pdeathsig", "KILL", "--", unshare, "--mount", "--pid", "--fork", "--kill-child"];
  // What root may do beyond its own files is needed to reach a state directory in somebody's home.
  const powerless = [setpriv, "--no-new-privs", "--bounding-set=-all,+dac_override", "--inh-caps=-all", "--"];
  const argv = [
    ...[...life, "--mount-proc", "--", "/bin/sh", "-c", SUPERVISOR, "sh"],
    ...[...powerless, git, ...command.args],
  ];
  const stdout: Uint8Array[] = [];
  let stdoutBytes = 0;
  let stderr = Buffer.alloc(0);
  let isTooMuch = false;
  let isGreeted = false;
  let child: Spawned | undefined;
  const stop = () => child?.kill("SIGKILL");
  const env = environment(options, command);
  child = await options.spawner.spawn({ argv, env, cwd: command.cwd, stdio: "pipe" }, (fd, chunk) => {
    if (fd === 2) {
      // The first byte is the supervisor's.
      const said = isGreeted ? chunk : chunk.subarray(1);
      isGreeted = true;
      stderr = Buffer.concat([stderr, said]).subarray(-STDERR_BYTES_KEPT);
      if (said.length > 0) onLog?.(said);
      return;
    }
    stdoutBytes += chunk.length;
    if (stdoutBytes <= STDOUT_BYTES_MAX) stdout.push(Buffer.from(chunk));
    else {
      isTooMuch = true;
      stop();
    }
  });
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  try {
    const exit = await child.exit;
    if (signal?.aborted) throw canceled(signal);
    if (isTooMuch)
      throw new EngineError("invalid", `git ${command.args[0]}: more than ${STDOUT_BYTES_MAX} bytes of answers`);
    if (exit.code !== 0) throw new GitFailure(redactCredentials(stderr.toString("utf8")).trim());
    return Buffer.concat(stdout).toString("utf8");
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Nothing of the machine's or the user's settings counts, nobody is asked for a password, and no hook or helper of theirs runs. */
function environment(options: GitProgramOptions, command: GitCommand): Record<string, string> {
  const { gitDir, workTree, indexFile, transport, config = [], sshSocket } = command;
  const settings = [...SETTINGS, ...config];
  const env: Record<string, string> = {
    ...options.proxyEnv,
    PATH: options.searchPath,
    LC_ALL: "C",
    HOME: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ALLOW_PROTOCOL: PROTOCOLS[transport],
    GIT_HTTP_LOW_SPEED_LIMIT: "1",
    GIT_HTTP_LOW_SPEED_TIME: String(STALL_SECONDS),
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_SSH_VARIANT: "ssh",
    GIT_SSH_COMMAND: sshCommand(options.knownHosts),
    GIT_CONFIG_COUNT: String(settings.length),
    ...(gitDir === undefined ? {} : { GIT_DIR: gitDir }),
    ...(workTree === undefined ? {} : { GIT_WORK_TREE: workTree }),
    ...(indexFile === undefined ? {} : { GIT_INDEX_FILE: indexFile }),
    ...(sshSocket === undefined ? {} : { SSH_AUTH_SOCK: sshSocket }),
    ...(options.certificates === undefined ? {} : { GIT_SSL_CAINFO: options.certificates }),
  };
  for (const [i, [name, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${i}`] = name;
    env[`GIT_CONFIG_VALUE_${i}`] = value;
  }
  return env;
}

const SETTINGS: readonly (readonly [string, string])[] = [
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["credential.helper", ""],
  // The directories are the engine's own, whoever owns them on a file system with mapped users.
  ["safe.directory", "*"],
  ["init.defaultBranch", "master"],
  ["advice.detachedHead", "false"],
  // What it starts in the background would be killed with it.
  ["gc.autoDetach", "false"],
  ["maintenance.autoDetach", "false"],
];

/** Keys come from the agent alone; a host that is new is trusted and remembered, one that has another key than it had is not. */
function sshCommand(knownHosts: readonly string[]): string {
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=accept-new",
    `UserKnownHostsFile=${knownHosts.map((file) => `\\"${file}\\"`).join(" ")}`,
    "IdentityFile=none",
    `ConnectTimeout=${SSH_CONNECT_SECONDS}`,
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
  ];
  return `ssh -F /dev/null ${options.map((option) => `-o "${option}"`).join(" ")}`;
}

/** Lines of an error that are shown, and characters of them. */
const SUMMARY_LINES_MAX = 6;
const SUMMARY_LENGTH_MAX = 1000;

const TELLING =
  /^(?:fatal|error|remote|ERROR|ssh): |Permission denied|Host key verification failed|IDENTIFICATION HAS CHANGED/;

/** What went wrong in git's words: the lines that say so, else the last ones. */
function summaryOf(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.replace(/\p{C}+/gu, " ").trim())
    .filter((line) => line !== "");
  const telling = lines.filter((line) => TELLING.test(line));
  const text = (telling.length > 0 ? telling : lines).slice(-SUMMARY_LINES_MAX).join("; ");
  return text.length > SUMMARY_LENGTH_MAX
    ? `${text.slice(0, SUMMARY_LENGTH_MAX)}…`
    : text || "git failed and did not say why";
}
