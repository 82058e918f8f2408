import fs from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { hasDockerRegistry, startRegistry } from "../registry/docker-registry.js";
import { buildFrom, type CachePlace, startCachePlaces } from "./cache-places.js";
import { type Moment, problemsOf } from "./store-check.js";
import { type Grant, startAs } from "./user.js";
import {
  cgroupsNamed,
  type Ended,
  eventually,
  findProgram,
  owners,
  type Running,
  type RunOptions,
  tracesOf,
  World,
} from "./world.js";

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
  // No disk is behind much of what is written by write(2): libuv would lose the end of a child process by its own pipe's failure.
  const fails = luck < FAILURES && /pwrite|rename|mkdir|link|truncate|sync/.test(calls);
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
  /** An ordinary user to whom this is granted does it all; absent: root does. */
  readonly grant?: Grant;
}

/** Whoever does it. */
class Doer {
  readonly world: World;
  readonly #grant: Grant | undefined;

  constructor(world: World, grant: Grant | undefined) {
    this.world = world;
    this.#grant = grant;
  }

  start(words: readonly string[], options: RunOptions = {}): Running {
    const { world } = this;
    return this.#grant ? startAs(world, words, { grant: this.#grant, ...options }) : world.start(words, options);
  }

  ashlar(words: readonly string[]): Promise<Ended> {
    return this.start(words).ended;
  }

  async succeed(words: readonly string[]): Promise<void> {
    const { code, stderr } = await this.ashlar(words);
    if (code !== 0) throw new Error(`ashlar ${words.join(" ")} ended with ${code}: ${stderr}`);
  }
}

const DOCKERFILE = `FROM base AS one
RUN for i in 1 2 3; do head -c 50000 /dev/zero | tr '\\0' $i > /file-$i; done
FROM base
COPY tree /tree
RUN --mount=type=cache,target=/kept cp /tree/round /kept/round && rm -r /tree/a && echo x > /tree/b
COPY --from=one /file-* /
RUN --mount=type=bind,from=one,target=/one cat /one/file-1 /tree/round > /sum
`;
/** What no round changes. */
const LASTING_STEP = "RUN for i in";

/**
 * Does one of many things in a state directory, with a fault; then looks that nothing of it lives on, that the next build gives the right
 * image, that the store is sound, and that a prune leaves nothing that nobody needs.
 */
export async function crashRounds({ count, seed, grant }: Rounds): Promise<void> {
  await using world = new World();
  await using registry = hasDockerRegistry ? await startRegistry("plain") : undefined;
  await using caches = await startCachePlaces(world, registry);
  const doer = new Doer(world, grant);
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
  const files = { archive: world.path("app.tar"), mount: world.path("kept.tar") };
  const exports = caches.all.flatMap(({ to }) => ["--cache-to", to]);
  await doer.succeed(world.buildWords([...exports, "-t", "app", "-t", "loaded", contextOf(0)]));
  await doer.succeed(["save", "-o", files.archive, "loaded"]);
  await doer.succeed(["cache", "mounts", "export", "/kept", "-o", files.mount]);
  if (repository) await doer.succeed(["tag", "app", repository]);
  if (repository) await doer.succeed(["push", repository]);
  for (let round = 1; round <= count; round++) {
    const context = contextOf(round);
    const deeds = deedsOf({ world, context, ...files, repository, caches: caches.all });
    const deed = deeds[random(deeds.length)] ?? { words: [] };
    const fault = faultOf(random);
    try {
      if (deed.before) await doer.succeed(deed.before);
      await suffer(doer, deed.words, fault);
      await expectSound({ doer, context, round });
      if (deed.place) await expectSoundCache(deed.place, { context, round });
    } catch (error) {
      const what = `ashlar ${deed.words.join(" ")}: ${JSON.stringify(fault)}`;
      throw new Error(`round ${round} of seed ${seed}: ${what}: ${(error as Error).message}`, { cause: error });
    }
  }
}

interface Deeds {
  readonly world: World;
  readonly context: string;
  readonly archive: string;
  readonly mount: string;
  readonly repository: string | undefined;
  readonly caches: readonly CachePlace[];
}

interface Deed {
  readonly words: readonly string[];
  /** What is done before, without a fault. */
  readonly before?: readonly string[];
  /** The cache that it writes. */
  readonly place?: CachePlace;
}

/** Everything that may be done. */
function deedsOf({ world, context, archive, mount, repository, caches }: Deeds): readonly Deed[] {
  const build = (...words: readonly string[]) => world.buildWords([...words, context]);
  const exports = caches.map((place): Deed => ({ words: build("--cache-to", place.to, "-t", "app"), place }));
  const imports = caches.flatMap(({ from }) => ["--cache-from", from]);
  const others = [
    build("-t", "app"),
    build(),
    build("--no-cache", "-t", "app"),
    build("-o", `type=oci,dest=${world.path("out.tar")}`),
    build("-o", `type=docker,dest=${world.path("out.tar")}`),
    build("-o", world.path("files")),
    ["load", "-i", archive],
    ["save", "-o", world.path("saved.tar"), "loaded"],
    ["tag", "loaded", "other"],
    ["rmi", "-f", "app"],
    ["prune", "-f"],
    ["prune", "-a", "-f"],
    ["cache", "mounts", "import", "/kept", "-i", mount],
    ...(repository
      ? [
          build("--push", "-t", repository),
          ["push", repository],
          ["pull", repository],
          ["rmi", "-f", repository],
          ["imagetools", "create", "-t", `${repository}:made`, repository],
        ]
      : []),
  ];
  const imported: Deed = { words: build(...imports, "-t", "app"), before: ["prune", "-a", "-f"] };
  return [...others.map((words) => ({ words })), ...exports, imported];
}

/** Runs `ashlar WORDS` with a fault, until all of it has ended. */
async function suffer(doer: Doer, words: readonly string[], fault: Fault): Promise<void> {
  const { world } = doer;
  const running = doer.start(words, { under: under(fault) });
  if (fault.kind === "time") {
    await pause(fault.afterMs);
    running.child.kill("SIGKILL");
  }
  const { stderr } = await running.ended;
  if (/internal error|unhandled|at .*\.cjs:/i.test(stderr)) throw new Error(`it says ${stderr}`);
  await eventually(() => tracesOf(world.dir, world.root, undefined).join("\n") || true, GONE_WITHIN_MS);
}

const GONE_WITHIN_MS = 3000;
const LOOKS_EVERY = 4;

interface Round {
  readonly doer: Doer;
  readonly context: string;
  readonly round: number;
}

async function expectSound({ doer, context, round }: Round): Promise<void> {
  const { world } = doer;
  const dead = owners(world.root);
  const out = world.path("out");
  fs.rmSync(out, { recursive: true, force: true });
  await doer.succeed(world.buildWords(["-o", out, context]));
  expect(filesBelow(out)).toEqual(wantedFiles(round));
  await expectNoProblems(doer, "swept");
  for (const owner of dead) expect(cgroupsNamed(owner)).toEqual([]);
  await doer.succeed(["prune", "-f"]);
  await expectNoProblems(doer, "pruned");
  // What the engine finds itself is asked less often: it takes a process more.
  if (round % LOOKS_EVERY > 0) return;
  expect(await doer.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });
  expect(await doer.ashlar(["run", "loaded", "cat", "/tree/c"])).toMatchObject({ code: 0, stdout: "c" });
}

/** What has been kept for others is what was there before, or what is new. */
async function expectSoundCache(
  place: CachePlace,
  { context, round }: Pick<Round, "context" | "round">,
): Promise<void> {
  const look = (out: string) => expect(filesBelow(out)).toEqual(wantedFiles(round));
  await buildFrom(place, { context, step: LASTING_STEP, look });
}

/** Engines leave what takes long to remove to the next one: it gets the chance. */
async function expectNoProblems(doer: Doer, moment: Moment): Promise<void> {
  const { root } = doer.world;
  for (let tries = 0; tries < 3 && problemsOf(root, moment).length > 0; tries++)
    await doer.succeed(moment === "swept" ? ["images"] : ["prune", "-f"]);
  expect(problemsOf(root, moment)).toEqual([]);
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
