import path from "node:path";
import { EngineError, Scope } from "../base/index.js";
import type { Executor, Exit, StepMount, StepProcess } from "../executor/index.js";
import { hostPlatform, type RuntimeConfig } from "../oci/index.js";
import { adoptImage, mergedEnv, openShell, runThere, type ShellPlace } from "../ops/index.js";
import type { DataPlane, LayerStore } from "../snapshot/index.js";
import type { ImageSource } from "../sources/index.js";
import { createCatalog } from "./catalog.js";
import type { RunRequest } from "./request.js";
import { StartFailure } from "./result.js";

export interface RunEngine {
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly executor: () => Promise<Executor>;
  readonly imageSource: ImageSource;
  readonly newId: () => string;
}

const HOSTNAME_LENGTH = 12;
const SIGNALED_BASE = 128;

/** Runs a container of an image, to try it; nothing of it is kept. The exit code is the process's. */
export async function runImage(engine: RunEngine, request: RunRequest): Promise<number> {
  await using scope = new Scope();
  const { place } = await openImage(engine, request, { scope, complete: withCommand(request) });
  return exitCodeOf(await runThere(place, place.process.args, request));
}

/** A shell in a container of an image, or ARGS; nothing of it is kept. The exit code is the process's. */
export async function shellInImage(engine: RunEngine, { args, ...request }: RunRequest): Promise<number> {
  await using scope = new Scope();
  const { place, config } = await openImage(engine, { ...request, args: [] }, { scope, complete: () => args });
  const exit =
    args.length > 0 ? runThere(place, args, request) : openShell(place, { ...request, wanted: config.Shell });
  return exitCodeOf(await exit);
}

/** What the process's end means for the caller's. Throws StartFailure, and `failed` where it was killed. */
export function exitCodeOf(exit: Exit): number {
  if (exit.kind === "signaled") throw new EngineError("failed", `the container was killed by ${exit.signal}`);
  if (exit.reason !== undefined) throw new StartFailure(exit.reason);
  return exit.code > 255 ? SIGNALED_BASE : exit.code;
}

interface Opening {
  /** Takes what has to be given back. */
  readonly scope: Scope;
  /** The command. */
  readonly complete: (config: RuntimeConfig) => readonly string[];
}

async function openImage(
  engine: RunEngine,
  request: RunRequest,
  { scope, complete }: Opening,
): Promise<{ readonly place: ShellPlace; readonly config: RuntimeConfig }> {
  const { plane, layers } = engine;
  const signal = request.signal ?? new AbortController().signal;
  const catalog = createCatalog(engine.imageSource, false);
  const platform = hostPlatform(process.arch);
  const identifier = `docker-image://${request.image}`;
  const { config } = await catalog.resolve(identifier, platform, { signal });
  const id = engine.newId();
  scope.defer(() => layers.release(id));
  const found = await catalog.layers(identifier, platform, { signal });
  const tree = await adoptImage(engine, identifier, { layers: found.layers, build: id });
  await layers.ensure(tree, { signal });
  const workspace = await layers.create(tree);
  scope.defer(() => layers.abandon(workspace));
  const user = await plane.run("resolveUser", { tree, user: request.user ?? config.config.User ?? "" });
  const rootfs = await plane.control("mount", { tree, upper: workspace.layer });
  scope.defer(() => plane.control("unmount", { path: rootfs }));
  const process_ = {
    ...processOf(config.config, request, complete(config.config)),
    user,
    hostname: id.replaceAll("-", "").slice(0, HOSTNAME_LENGTH),
  };
  return { place: { plane, executor: await engine.executor(), process: process_, rootfs }, config: config.config };
}

function withCommand(request: RunRequest): (config: RuntimeConfig) => readonly string[] {
  return (config) => {
    const entrypoint =
      request.entrypoint === undefined
        ? (config.Entrypoint ?? [])
        : request.entrypoint === ""
          ? []
          : [request.entrypoint];
    const command = request.args.length > 0 || request.entrypoint !== undefined ? request.args : (config.Cmd ?? []);
    const args = [...entrypoint, ...command];
    if (args.length === 0)
      throw new EngineError("invalid", `${request.image} names no command: give one after the image`);
    return args;
  };
}

function processOf(
  config: RuntimeConfig,
  request: RunRequest,
  args: readonly string[],
): Omit<StepProcess, "user" | "hostname"> {
  return {
    args,
    env: mergedEnv([...(config.Env ?? []), ...request.env]),
    cwd: request.workdir ?? (config.WorkingDir || "/"),
    mounts: request.volumes.map(volume),
    network: "host",
    security: "sandbox",
    extraHosts: [],
    ulimits: [],
  };
}

function volume(text: string): StepMount {
  const [source, destination, mode, ...more] = text.split(":");
  if (
    !source ||
    !destination?.startsWith("/") ||
    more.length > 0 ||
    (mode !== undefined && mode !== "ro" && mode !== "rw")
  ) {
    throw new EngineError(
      "invalid",
      `invalid volume ${JSON.stringify(text)}: expected SOURCE:DESTINATION[:ro] with an absolute destination`,
    );
  }
  return { kind: "bind", source: path.resolve(source), destination, readonly: mode === "ro" };
}
