import { Readable, Writable } from "node:stream";
import type { UsageEntry } from "../../src/cache/index.js";
import { runCli } from "../../src/cli/run-cli.js";
import type { Output, StopSignal, Surroundings } from "../../src/cli/surroundings.js";
import type { CacheMountInfo } from "../../src/engine/cache-mount-tools.js";
import type { BuildGraph, BuildRequest, Engine, EngineOptions, RunRequest } from "../../src/engine/request.js";
import type {
  BuildPlan,
  BuildResult,
  CheckReport,
  OutlineReport,
  StepExplanation,
  TargetsReport,
} from "../../src/engine/result.js";
import type { StoreFault } from "../../src/engine/verify.js";
import { ManualClock } from "../progress/stage.js";
import { fakeImages, type ImageFake } from "./images-fake.js";

/** An engine that answers with what it was given, and writes down what it was asked. */
interface FakeEngine {
  build?: (request: BuildRequest) => Promise<BuildResult>;
  check?: CheckReport;
  outline?: OutlineReport | (() => Promise<OutlineReport>);
  targets?: TargetsReport;
  plan?: BuildPlan | ((request: BuildRequest) => Promise<BuildPlan>);
  explain?: StepExplanation;
  graphs?: readonly BuildGraph[];
  run?: (request: RunRequest) => Promise<number>;
  images?: ImageFake;
  usage?: readonly UsageEntry[];
  faults?: readonly StoreFault[];
  mounts?: readonly CacheMountInfo[];
}

export interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Its chunks; `never`: nothing ever comes, and no end. */
  readonly stdin?: readonly string[] | "never";
  readonly stdinIsTerminal?: boolean;
  readonly stdoutIsTerminal?: boolean;
  readonly engine?: FakeEngine;
}

/** A result with nothing in it. */
export const EMPTY: BuildResult = { names: [], steps: [], misses: [], warnings: [], caches: [], outputs: [] };

/** Runs the command line tool in a made-up world, and keeps all that came of it. */
export async function ashlar(args: readonly string[], world: World = {}) {
  const stdout = new Sink(world.stdoutIsTerminal);
  const stderr = new Sink();
  const asked: { options: EngineOptions[]; requests: BuildRequest[]; calls: unknown[] } = {
    options: [],
    requests: [],
    calls: [],
  };
  const handlers = new Set<(signal: StopSignal) => void>();
  const exits: number[] = [];
  let disposed = 0;
  const surroundings: Surroundings = {
    args,
    env: world.env ?? {},
    cwd: world.cwd ?? "/",
    homeDirectory: "/nonexistent",
    platform: "linux/amd64",
    stdin: input(world),
    stdout: stdout as Output,
    stderr: stderr as Output,
    clock: new ManualClock(),
    openEngine: async (options) => {
      asked.options.push(options);
      return fakeEngine(world.engine ?? {}, asked, () => disposed++);
    },
    onSignal: (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    onSuspend: () => () => undefined,
    exit: (code) => exits.push(code),
  };
  const send = (signal: StopSignal) => {
    for (const handler of handlers) handler(signal);
  };
  const code = runCli(surroundings);
  return { code, stdout, stderr, asked, send, exits, handlers, disposed: () => disposed };
}

/** The same, waited for. */
export async function finished(args: readonly string[], world: World = {}) {
  const { code, stdout, stderr, asked, handlers, disposed } = await ashlar(args, world);
  return { code: await code, out: stdout.text, err: stderr.text, ...asked, handlers, disposed: disposed() };
}

/** The stream that the first output goes to. */
export function streamOf({ outputs = [] }: BuildRequest): NodeJS.WritableStream {
  const [output] = outputs;
  const dest = output && "dest" in output ? output.dest : undefined;
  if (dest === undefined || typeof dest === "string") throw new Error("the first output is no stream");
  return dest;
}

class Sink extends Writable {
  text = "";
  readonly isTTY: boolean;

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function input({ stdin = [], stdinIsTerminal = false }: World): Surroundings["stdin"] {
  const chunks = async function* () {
    if (stdin === "never") await new Promise(() => undefined);
    else for (const chunk of stdin) yield Buffer.from(chunk);
  };
  return Object.assign(Readable.from(chunks()), { isTTY: stdinIsTerminal });
}

const NO_SOURCE = { file: "Dockerfile", text: "" };

function fakeEngine(
  fake: FakeEngine,
  asked: { requests: BuildRequest[]; calls: unknown[] },
  dispose: () => void,
): Engine {
  return {
    build: async (request) => {
      asked.requests.push(request);
      return (await fake.build?.(request)) ?? EMPTY;
    },
    check: async (request) => {
      asked.requests.push(request);
      return fake.check ?? { diagnostics: [], source: NO_SOURCE };
    },
    outline: async (request) => {
      asked.requests.push(request);
      if (typeof fake.outline === "function") return fake.outline();
      return (
        fake.outline ?? { name: undefined, description: undefined, args: [], secrets: [], ssh: [], source: NO_SOURCE }
      );
    },
    targets: async (request) => {
      asked.requests.push(request);
      return fake.targets ?? { targets: [], source: NO_SOURCE };
    },
    plan: async (request) => {
      asked.requests.push(request);
      if (typeof fake.plan === "function") return fake.plan(request);
      return fake.plan ?? { steps: [], pulls: [], isCached: true };
    },
    explain: async (request) => {
      asked.calls.push(request);
      return (
        fake.explain ?? { step: "", newer: { at: 0, name: "", facts: {} }, older: undefined, causes: [], omitted: 0 }
      );
    },
    graphs: async (request) => {
      asked.requests.push(request);
      return fake.graphs ?? [];
    },
    run: async (request) => {
      asked.calls.push(request);
      return (await fake.run?.(request)) ?? 0;
    },
    shell: async (request) => {
      asked.calls.push(request);
      return 0;
    },
    cacheMounts: {
      list: async () => fake.mounts ?? [],
      remove: async (ids) => {
        asked.calls.push({ remove: ids });
        return { freedBytes: 2_000_000 };
      },
      export: async (request) => {
        asked.calls.push(request);
        return { sizeBytes: 10_240 };
      },
      import: async (request) => void asked.calls.push(request),
    },
    images: fakeImages(fake.images ?? {}, asked.calls),
    prune: async (options) => {
      asked.calls.push(options);
      return { freedBytes: 1_500_000, records: 2, entries: fake.usage ?? [] };
    },
    diskUsage: async () => fake.usage ?? [],
    verify: async () => fake.faults ?? [],
    info: async () => ({ Runtime: "crun" }),
    [Symbol.asyncDispose]: async () => dispose(),
  };
}
