import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { TestContext } from "vitest";

export const REPOSITORY = path.resolve(import.meta.dirname, "../..");
export const ASHLAR = path.join(REPOSITORY, "bin/ashlar");
/** The base image, made by global-setup. */
export const BASE_LAYOUT = path.join(REPOSITORY, "test/conformance/.base");

/** How a program ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  /** More input may come: it is left open. */
  readonly keepsInput?: boolean;
  /** Words before the program's: `["unshare", "-n"]`. */
  readonly under?: readonly string[];
  readonly timeoutMs?: number;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What standard error holds by now. */
  said(): string;
  /** Resolves once standard error holds TEXT; throws when the program ends before. */
  says(text: string): Promise<void>;
}

const PROGRAM_TIMEOUT_MS = 50_000;

/** A directory for one test, with a state directory of its own. Whatever is left running or mounted there is removed with it. */
export class World implements AsyncDisposable {
  readonly dir = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "ashlar-e2e-"));
  readonly root = path.join(this.dir, "root");
  readonly #running = new Set<Running>();

  /** Writes files, given by path below the world's directory; the directory's path. */
  files(files: Readonly<Record<string, string | Uint8Array>>, below = "context"): string {
    const directory = path.join(this.dir, below);
    fs.mkdirSync(directory, { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
      fs.writeFileSync(path.join(directory, name), content);
    }
    return directory;
  }

  path(...names: readonly string[]): string {
    return path.join(this.dir, ...names);
  }

  read(...names: readonly string[]): string {
    return fs.readFileSync(this.path(...names), "utf8");
  }

  start(words: readonly string[], options: RunOptions = {}): Running {
    // Node would read the machine's further authorities first, which takes as long as a build in which all is cached.
    const env = { NODE_EXTRA_CA_CERTS: undefined, ASHLAR_ROOT: this.root, ...options.env };
    const running = startProgram([ASHLAR, ...words], { ...options, env });
    this.#running.add(running);
    return running;
  }

  /** Runs `ashlar WORDS`. */
  ashlar(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.start(words, options).ended;
  }

  /** Runs `ashlar build` with the base image at hand and plain progress; the last of WORDS is the context. */
  build(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.ashlar(this.buildWords(words), options);
  }

  buildWords(words: readonly string[]): readonly string[] {
    return ["build", "--progress=plain", "--build-context", `base=oci-layout://${BASE_LAYOUT}:latest`, ...words];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#running) child.kill("SIGKILL");
    await Promise.all([...this.#running].map(({ ended }) => ended));
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

export function startProgram(words: readonly string[], options: RunOptions = {}): Running {
  const [program = "", ...args] = [...(options.under ?? []), ...words];
  const env = { ...process.env, BUILDKIT_PROGRESS: undefined, ...options.env };
  const child = spawn(program, args, { cwd: options.cwd, env, timeout: options.timeoutMs ?? PROGRAM_TIMEOUT_MS });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on("error", () => undefined); // it may end without having read all of it
  if (!options.keepsInput) child.stdin.end(options.input ?? "");
  const text = (chunks: readonly Buffer[]) => Buffer.concat(chunks).toString("utf8");
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stdout: text(stdout), stderr: text(stderr) }));
  });
  const says = (wanted: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => text(stderr).includes(wanted) && resolve();
      child.stderr.on("data", look);
      look();
      ended.then((end) => reject(new Error(`it ended (${end.code}) before it said ${wanted}:\n${end.stderr}`)), reject);
    });
  return { child, ended, said: () => text(stderr), says };
}

export function run(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return startProgram(words, options).ended;
}

/** Skips the test, with the reason, where one of PROGRAMS is not installed. */
export function needs(context: TestContext, ...programs: readonly string[]): void {
  for (const program of programs) {
    if (findProgram(program) === undefined) context.skip(`${program} is not installed`);
  }
}

/** Skips the test where no peer engine is wanted: those are for CI machines. */
export function needsPeer(context: TestContext, program: string): void {
  if (!process.env.CI || process.env.CI === "false") context.skip(`${program} is only tried with CI=true`);
  needs(context, program);
}

export function findProgram(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return directories.map((directory) => path.join(directory, name)).find((file) => fs.existsSync(file));
}

/** Asks QUESTION until it is true; throws with what it last said after LIMIT_MS. */
export async function eventually(question: () => boolean | string, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = question();
    if (answer === true) return;
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms${answer ? `: ${answer}` : ""}`);
    await pause(10);
  }
}

/** Everything a running build has on the machine that must not outlive it. */
export function tracesOf(marker: string, root: string, owner: string | undefined): readonly string[] {
  const pids = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const processes = pids.filter((pid) => readProc(pid, "cmdline").includes(marker));
  const mounts = pids.filter((pid) => readProc(pid, "mountinfo").includes(root));
  return [
    ...processes.map((pid) => `process ${pid}: ${readProc(pid, "cmdline").replaceAll("\0", " ")}`),
    ...mounts.map((pid) => `process ${pid} has mounts of the state directory`),
    ...(owner === undefined ? [] : cgroupsNamed(owner).map((name) => `cgroup ${name}`)),
  ];
}

export function cgroupsNamed(part: string): readonly string[] {
  // Others come and go meanwhile, of which `find` complains.
  const { stdout } = spawnSync("find", ["/sys/fs/cgroup", "-type", "d", "-name", `*${part}*`], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean);
}

function readProc(pid: string, file: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // it ended meanwhile
  }
}

/** The lock files of the engines that run on a state directory. */
export function owners(root: string): readonly string[] {
  return fs.readdirSync(path.join(root, "owners")).filter((name) => !name.startsWith("."));
}

/** Manifest and config of the first image in an OCI layout directory. */
export function imageOf(layout: string): {
  readonly digest: string;
  readonly manifest: { readonly config: { readonly digest: string }; readonly layers: readonly { digest: string }[] };
  readonly config: {
    readonly config: Readonly<Record<string, unknown>>;
    readonly rootfs: { readonly diff_ids: readonly string[] };
  };
} {
  const blob = (digest: string) =>
    JSON.parse(fs.readFileSync(path.join(layout, "blobs", ...digest.split(":")), "utf8"));
  const index = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8"));
  const { digest } = index.manifests[0];
  const manifest = blob(digest);
  return { digest, manifest, config: blob(manifest.config.digest) };
}
