import fs from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { hasDockerRegistry, startRegistry } from "../registry/docker-registry.js";
import { type Moment, problemsOf } from "./store-check.js";
import { cgroupsNamed, eventually, findProgram, owners, tracesOf, World } from "./world.js";

/** What befalls a program: it is killed after a while or at a system call, or such a call fails. */
type Fault =
  | { readonly kind: "time"; readonly afterMs: number }
  | { readonly kind: "call"; readonly calls: string; readonly nth: number; readonly effect: "kill" | "EIO" | "ENOSPC" };

/** A number below BOUND. */
type Chance = (bound: number) => number;

/** Chance that can be had again (mulberry32). */
function chance(seed: number): Chance {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

/** System calls that change what is on disk or who holds it, and up to which of them, in one thread, a fault may come. */
const CALLS: readonly (readonly [string, number])[] = [
  ["rename,renameat,renameat2", 4],
  ["pwrite64", 120],
  ["unlink,unlinkat", 20],
  ["mkdir,mkdirat", 20],
  ["rmdir", 12],
  ["link,linkat,symlink,symlinkat", 4],
  ["fsync,fdatasync,syncfs", 3],
  ["ftruncate,fallocate", 3],
  ["flock", 4],
  ["fcntl", 120],
  ["mount,umount2", 20],
  ["write,writev", 40],
  ["clone,clone3,fork,vfork", 8],
  ["execve", 8],
  ["sendto,sendmsg,connect", 12],
  ["mknod,mknodat,lsetxattr,setxattr", 4],
];
/** Within these a program does most of what it does. Milliseconds. */
const TIME_MS = 1500;
/** Of a hundred faults at calls: failures of the disk. */
const FAILURES = 25;

function faultOf(random: Chance): Fault {
  if (findProgram("strace") === undefined || random(4) === 0) return { kind: "time", afterMs: random(TIME_MS) };
  const [calls, most] = CALLS[random(CALLS.length)] ?? ["rename", 1];
  const luck = random(100);
  const fails = luck < FAILURES && /write|rename|mkdir|link|truncate|sync/.test(calls);
  const effect = fails ? (luck % 2 === 0 ? "EIO" : "ENOSPC") : "kill";
  return { kind: "call", calls, nth: 1 + random(1 + random(most)), effect };
}

/** The words before a program's for a fault at a call. */
function under(fault: Fault): readonly string[] {
  if (fault.kind === "time") return [];
  const how = fault.effect === "kill" ? "signal=SIGKILL" : `error=${fault.effect}`;
  const inject = `inject=${fault.calls}:${how}:when=${fault.nth}`;
  return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${fault.calls}`, "-e", inject];
}

/** How many rounds, and the seed that their chance begins with. */
export interface Rounds {
  readonly count: number;
  readonly seed: number;
}

const DOCKERFILE = `FROM base AS one
RUN for i in 1 2 3; do head -c 50000 /dev/zero | tr '\\0' $i > /file-$i; done
FROM base
COPY tree /tree
RUN --mount=type=cache,target=/kept cp /tree/round /kept/round && rm -r /tree/a && echo x > /tree/b
COPY --from=one /file-* /
RUN --mount=type=bind,from=one,target=/one cat /one/file-1 /tree/round > /sum
`;

/**
 * Does one of many things in a state directory, with a fault; then looks that nothing of it lives on, that the next build gives the right
 * image, that the store is sound, and that a prune leaves nothing that nobody needs.
 */
export async function crashRounds({ count, seed }: Rounds): Promise<void> {
  await using world = new World();
  await using registry = hasDockerRegistry ? await startRegistry("plain") : undefined;
  const random = chance(seed);
  const repository = registry && `${registry.name}/app`;
  const contextOf = (round: number) =>
    world.files({
      Dockerfile: DOCKERFILE,
      "tree/a/1": "1",
      "tree/a/2": "2",
      "tree/c": "c",
      "tree/round": `${round}\n`,
    });
  const archive = world.path("app.tar");
  await expectSuccess(world, world.buildWords(["-t", "app", "-t", "loaded", contextOf(0)]));
  await expectSuccess(world, ["save", "-o", archive, "loaded"]);
  if (repository) await expectSuccess(world, ["tag", "app", repository]);
  if (repository) await expectSuccess(world, ["push", repository]);
  for (let round = 1; round <= count; round++) {
    const context = contextOf(round);
    const deeds = deedsOf({ world, context, archive, repository });
    const words = deeds[random(deeds.length)] ?? [];
    const fault = faultOf(random);
    try {
      await suffer(world, words, fault);
      await expectSound({ world, context, round });
    } catch (error) {
      const what = `ashlar ${words.join(" ")}: ${JSON.stringify(fault)}`;
      throw new Error(`round ${round} of seed ${seed}: ${what}: ${(error as Error).message}`, { cause: error });
    }
  }
}

interface Deeds {
  readonly world: World;
  readonly context: string;
  readonly archive: string;
  readonly repository: string | undefined;
}

/** The words of everything that may be done. */
function deedsOf({ world, context, archive, repository }: Deeds): readonly (readonly string[])[] {
  const build = (...words: readonly string[]) => world.buildWords([...words, context]);
  return [
    build("-t", "app"),
    build("--no-cache", "-t", "app"),
    build("-o", `type=oci,dest=${world.path("out.tar")}`),
    build("-o", `type=docker,dest=${world.path("out.tar")}`),
    build("-o", world.path("files")),
    build("--cache-to", `type=local,dest=${world.path("cache")},mode=max`, "-t", "app"),
    ["load", "-i", archive],
    ["save", "-o", world.path("saved.tar"), "loaded"],
    ["tag", "loaded", "other"],
    ["rmi", "-f", "app"],
    ["prune", "-f"],
    ["prune", "-a", "-f"],
    ...(repository
      ? [build("--push", "-t", repository), ["push", repository], ["pull", repository], ["rmi", "-f", repository]]
      : []),
  ];
}

/** Runs `ashlar WORDS` with a fault, until all of it has ended. */
async function suffer(world: World, words: readonly string[], fault: Fault): Promise<void> {
  const running = world.start(words, { under: under(fault) });
  if (fault.kind === "time") {
    await pause(fault.afterMs);
    running.child.kill("SIGKILL");
  }
  const watch = setTimeout(() => endHanging(world), HANGS_MS);
  const { stderr } = await running.ended.finally(() => clearTimeout(watch));
  if (/internal error|unhandled|at .*\.cjs:/i.test(stderr)) throw new Error(`it says ${stderr}`);
  await eventually(() => tracesOf(world.dir, world.root, undefined).join("\n") || true, GONE_WITHIN_MS);
}

/**
 * Ends a program that has closed its engine and doesn't get to its end: glibc 2.36 may lose a wake-up when Node joins its threads (glibc
 * bug 25847), and slow calls bring that about. One whose engine is open is left to the time limit of the test.
 */
function endHanging(world: World): void {
  if (owners(world.root).length > 0) return;
  for (const trace of tracesOf(world.dir, world.root, undefined)) {
    const pid = /^process (\d+):/.exec(trace)?.[1];
    if (pid !== undefined) process.kill(Number(pid), "SIGKILL");
  }
}

const HANGS_MS = 40_000;
const GONE_WITHIN_MS = 3000;
const LOOKS_EVERY = 4;

interface Round {
  readonly world: World;
  readonly context: string;
  readonly round: number;
}

async function expectSound({ world, context, round }: Round): Promise<void> {
  const dead = owners(world.root);
  const out = world.path("out");
  fs.rmSync(out, { recursive: true, force: true });
  await expectSuccess(world, world.buildWords(["-o", out, context]));
  expect(filesBelow(out)).toEqual(wantedFiles(round));
  await expectNoProblems(world, "swept");
  for (const owner of dead) expect(cgroupsNamed(owner)).toEqual([]);
  await expectSuccess(world, ["prune", "-f"]);
  await expectNoProblems(world, "pruned");
  // What the engine finds itself is asked less often: it takes a process more.
  if (round % LOOKS_EVERY > 0) return;
  expect(await world.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });
  await expectSoundCache(world, { context, round });
  expect(await world.ashlar(["run", "loaded", "cat", "/tree/c"])).toMatchObject({ code: 0, stdout: "c" });
}

/** Builds elsewhere from what has been kept for others, as far as it came. */
async function expectSoundCache(world: World, { context, round }: Pick<Round, "context" | "round">): Promise<void> {
  const cache = world.path("cache");
  if (!fs.existsSync(path.join(cache, "index.json"))) return;
  await using other = new World();
  const out = other.path("out");
  await expectSuccess(other, other.buildWords(["--cache-from", `type=local,src=${cache}`, "-o", out, context]));
  expect(filesBelow(out)).toEqual(wantedFiles(round));
}

/** Engines leave what takes long to remove to the next one: it gets the chance. */
async function expectNoProblems(world: World, moment: Moment): Promise<void> {
  for (let tries = 0; tries < 3 && problemsOf(world.root, moment).length > 0; tries++)
    await expectSuccess(world, moment === "swept" ? ["images"] : ["prune", "-f"]);
  expect(problemsOf(world.root, moment)).toEqual([]);
}

async function expectSuccess(world: World, words: readonly string[]): Promise<void> {
  const { code, stderr } = await world.ashlar(words);
  if (code !== 0) throw new Error(`ashlar ${words.join(" ")} ended with ${code}: ${stderr}`);
}

function wantedFiles(round: number): Readonly<Record<string, string>> {
  const file = (n: number) => String(n).repeat(50_000);
  return {
    "file-1": file(1),
    "file-2": file(2),
    "file-3": file(3),
    sum: `${file(1)}${round}\n`,
    "tree/b": "x\n",
    "tree/c": "c",
    "tree/round": `${round}\n`,
  };
}

/** The files of a build by their paths, but those of the base image. */
function filesBelow(directory: string): Readonly<Record<string, string>> {
  const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name));
  const own = files.filter((file) => /^(file-|sum$|tree\/)/.test(path.relative(directory, file)));
  return Object.fromEntries(own.map((file) => [path.relative(directory, file), fs.readFileSync(file, "latin1")]));
}
