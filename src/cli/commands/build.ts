import fs from "node:fs";
import { finished } from "node:stream/promises";
import { canceled, EngineError, messageOf, systemCode } from "../../base/index.js";
import type { BuildRequest, BuildResult, Engine, OutputSpec } from "../../engine/index.js";
import type { Place, ProgressEvent, Renderer, Summary } from "../../progress/index.js";
import type { BuildFlags } from "../build-flags.js";
import { type BuildInvocation, parseBuild } from "../build-request.js";
import { answerCall, type Call, callExitCode, callMetadata, callText } from "../call.js";
import { loadProxyArgs } from "../docker-config.js";
import { BROKEN_PIPE_CODE, PLAN_CODE } from "../exit-codes.js";
import { failureOf } from "../failure.js";
import { failureShell } from "../failure-shell.js";
import { createImageLoader, type ImageLoader } from "../image-loader.js";
import { familiarName } from "../image-name.js";
import { failureMetadata, metadataOf, type ToldWarning } from "../metadata.js";
import { isPushed, type OutputTarget } from "../output-flag.js";
import { type PlanForm, planText } from "../plan-report.js";
import { createRenderer, leavingScreen } from "../renderers.js";
import { listenForStop } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { ToldMisses } from "../told-misses.js";
import { UsageError } from "../usage-error.js";
import { removeResultFile, writeResultFile } from "../write-file.js";

/** `ashlar build`: the exit code. A build that fails is told on standard error; only a wrong command line throws. */
export async function buildCommand(
  flags: BuildFlags,
  contextPath: string | undefined,
  surroundings: Surroundings,
): Promise<number> {
  const { env, cwd, platform } = surroundings;
  const proxyArgs = loadProxyArgs(surroundings);
  const invocation = parseBuild(flags, contextPath, { env, cwd, proxyArgs, localPlatform: platform });
  // A question makes nothing that could go anywhere.
  const targets = invocation.call || invocation.plan ? undefined : invocation.outputs;
  const loader = targets?.some(({ kind }) => kind === "load") ? await createImageLoader(env) : undefined;
  const outputs = targets && outputSpecs(targets, loadingOf(loader, invocation), surroundings);
  const renderer = createRenderer(invocation.progress, surroundings, invocation.debug);
  const onFailedStep = failureShell(invocation, renderer, surroundings);
  using stopping = listenForStop(surroundings);
  using _ = leavingScreen(renderer, surroundings);
  const { signal } = stopping;
  const warnings: ToldWarning[] = [];
  const misses = new ToldMisses();
  const onProgress = (event: ProgressEvent) => {
    misses.take(event);
    if (event.type === "warning") warnings.push(event);
    renderer.emit(event);
  };
  if (loader?.notice) onProgress({ type: "warning", vertex: undefined, warning: { message: loader.notice } });
  try {
    checkInputs(invocation);
    if (invocation.iidFile) removeResultFile(invocation.iidFile);
    const request = {
      ...(await completeRequest(invocation, surroundings, signal)),
      ...onFailedStep,
      onProgress,
      signal,
    };
    const openEngine = () => surroundings.openEngine({ ...invocation.engine, onProgress, signal });
    const asking = { invocation, openEngine, renderer, surroundings };
    if (invocation.plan) return await plan(invocation.plan, request, asking);
    if (invocation.call) return await answer(invocation.call, request, asking);
    const result = await build({ ...request, ...(outputs ? { outputs } : {}) }, openEngine);
    if (loader) await finished(loader.archive);
    const { metadataFile, metadataWarnings } = invocation;
    if (metadataFile) writeJson(metadataFile, metadataOf(result, metadataWarnings ? warnings : [], misses.list));
    return finish(invocation, result, renderer, loader, surroundings);
  } catch (error) {
    loader?.archive.destroy();
    if (isBrokenPipe(error, invocation)) {
      renderer.finish({ kind: "silent" });
      return BROKEN_PIPE_CODE;
    }
    renderer.finish(failureOf(error, invocation.debug));
    writeFailure(invocation, failureMetadata(error, warnings, misses.list), surroundings);
    return stopping.exitCode() ?? 1;
  }
}

/** Whether the reader of an archive on standard output has gone, as it may. */
function isBrokenPipe(error: unknown, { outputs = [] }: BuildInvocation): boolean {
  return systemCode(error) === "EPIPE" && outputs.some(({ kind }) => kind === "stdout");
}

/** Answers CALL on standard output; the exit code. What is wrong with the Dockerfile is told on standard error. */
async function answer(
  call: Call,
  request: BuildRequest,
  { invocation, openEngine, renderer, surroundings }: Asking,
): Promise<number> {
  const answered = await answerCall(call, request, openEngine);
  if (invocation.metadataFile) writeJson(invocation.metadataFile, callMetadata(answered));
  surroundings.stdout.write(callText(call, answered));
  renderer.finish(answered.failure ?? { kind: "built", image: undefined, places: [] });
  return callExitCode(call, answered);
}

/** Tells on standard output what a build would do; the exit code. */
async function plan(
  form: PlanForm,
  request: BuildRequest,
  { invocation, openEngine, renderer, surroundings }: Asking,
): Promise<number> {
  await using engine = await openEngine();
  const outputs = invocation.outputs?.flatMap((target) => plannedOutput(target, surroundings));
  const planned = await engine.plan({ ...request, ...(outputs ? { outputs } : {}) });
  renderer.finish({ kind: "built", image: undefined, places: [] });
  surroundings.stdout.write(planText(planned, form));
  return planned.isCached ? 0 : PLAN_CODE;
}

/** That the file can't be written hides no failure of the build. */
function writeFailure(
  { metadataFile }: BuildInvocation,
  metadata: ReturnType<typeof failureMetadata>,
  { stderr }: Surroundings,
): void {
  if (!metadataFile) return;
  try {
    writeJson(metadataFile, metadata);
  } catch (error) {
    stderr.write(`WARNING: ${metadataFile} could not be written: ${messageOf(error)}\n`);
  }
}

function writeJson(file: string, content: object): void {
  writeResultFile(file, `${JSON.stringify(content, undefined, 2)}\n`);
}

type OpenEngine = () => Promise<Engine>;

/** Whoever asks something of an engine, and where the answer goes. */
interface Asking {
  readonly invocation: BuildInvocation;
  readonly openEngine: OpenEngine;
  readonly renderer: Renderer;
  readonly surroundings: Surroundings;
}

async function build(request: BuildRequest, openEngine: OpenEngine): Promise<BuildResult> {
  await using engine = await openEngine();
  return await engine.build(request);
}

/** The Dockerfile on standard input and a secret are read whole. Bytes. */
const MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024;
const MAX_SECRET_BYTES = 500 * 1024;

/** What can be refused before the engine is loaded. */
export function checkInputs({ context, request }: BuildInvocation): void {
  if (context.kind === "directory" && !fs.statSync(context.path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new EngineError("not-found", `unable to prepare context: path ${JSON.stringify(context.shown)} not found`);
  }
  for (const secret of request.secrets ?? []) {
    if (secret.source !== "file") continue;
    const stat = fs.statSync(secret.path, { throwIfNoEntry: false });
    if (!stat) throw new EngineError("not-found", `failed to stat ${secret.path}: no such file or directory`);
    if (stat.size > MAX_SECRET_BYTES)
      throw new EngineError("invalid", `secret ${secret.id} is larger than ${MAX_SECRET_BYTES} bytes`);
  }
}

function contextOf(context: BuildInvocation["context"], { stdin }: Surroundings): BuildRequest["context"] {
  switch (context.kind) {
    case "directory":
      return context.path;
    case "address":
      return context.address;
    case "stdin":
      return { stdin };
  }
}

/** The request with what comes on standard input. */
export async function completeRequest(
  { context, request, dockerfileFromStdin }: BuildInvocation,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<BuildRequest> {
  return {
    ...request,
    context: contextOf(context, surroundings),
    ...(dockerfileFromStdin
      ? { dockerfileText: await Promise.race([readText(surroundings.stdin), rejectOnAbort(signal)]) }
      : {}),
  };
}

/** Nobody may ever end standard input; whoever waits for it must be stoppable. */
function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(canceled(signal)), { once: true });
  });
}

async function readText(input: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > MAX_DOCKERFILE_BYTES)
      throw new EngineError("invalid", "the Dockerfile on standard input is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function loadingOf(loader: ImageLoader | undefined, { request }: BuildInvocation): Parameters<typeof outputSpecs>[1] {
  return { loading: loader && loadSpec(loader, request), tags: request.tags };
}

type LoadSpec = Omit<Extract<OutputSpec, { type: "oci" | "docker" }>, "attrs">;

/** What another engine gets: one image, or all of an index where it keeps such. */
function loadSpec(
  { archive, takesIndexes }: ImageLoader,
  { platforms = [], attestations = [] }: Pick<BuildRequest, "platforms" | "attestations">,
): LoadSpec {
  const isIndex = new Set(platforms).size > 1 || attestations.length > 0;
  return { type: isIndex && takesIndexes ? "oci" : "docker", dest: archive };
}

/** The outputs for the engine; `type=cacheonly` is none. What is loaded elsewhere under TAGS is in the local store, too. */
function outputSpecs(
  targets: readonly OutputTarget[],
  { loading, tags = [] }: { readonly loading: LoadSpec | undefined; readonly tags?: readonly string[] | undefined },
  { stdout }: Surroundings,
): readonly OutputSpec[] {
  const specs = targets.flatMap((target) => outputSpec(target, loading, stdout));
  // Later builds and other commands don't look into docker or podman.
  const isKept = loading && tags.length > 0 && !targets.some(({ kind }) => kind === "store");
  return isKept ? [...specs, { type: "image", attrs: {} }] : specs;
}

function outputSpec(
  target: OutputTarget,
  loading: LoadSpec | undefined,
  stdout: Surroundings["stdout"],
): readonly OutputSpec[] {
  switch (target.kind) {
    case "path":
      return [{ type: target.type, dest: target.dest, attrs: target.attrs }];
    case "stdout":
      if (stdout.isTTY)
        throw new UsageError(`dest file is required for ${target.type} exporter: refusing to write to a terminal`);
      return [{ type: target.type, dest: stdout, attrs: target.attrs }];
    case "load":
      return loading ? [{ ...loading, attrs: target.attrs }] : [];
    case "store":
      return [{ type: "image", attrs: target.attrs }];
    case "cache":
      return [];
  }
}

/** What a plan has to know of an output: nothing is written, nor is it looked for who would load it. */
function plannedOutput(target: OutputTarget, { stdout }: Surroundings): readonly OutputSpec[] {
  switch (target.kind) {
    case "path":
      return [{ type: target.type, dest: target.dest, attrs: target.attrs }];
    case "stdout":
      return [{ type: target.type, dest: stdout, attrs: target.attrs }];
    case "load":
      return [{ type: "docker", dest: stdout, attrs: target.attrs }];
    case "store":
      return [{ type: "image", attrs: target.attrs }];
    case "cache":
      return [];
  }
}

/** Tells what was made, in every way that was asked for; the exit code. */
function finish(
  invocation: BuildInvocation,
  result: BuildResult,
  renderer: Renderer,
  loader: ImageLoader | undefined,
  { stdout }: Surroundings,
): number {
  const { iidFile, quiet } = invocation;
  const id = result.imageId ?? result.digest;
  if (iidFile) writeResultFile(iidFile, id ?? "");
  renderer.finish(summaryOf(invocation, result, loader));
  if (quiet && id) stdout.write(`${id}\n`);
  return 0;
}

function summaryOf(invocation: BuildInvocation, result: BuildResult, loader: ImageLoader | undefined): Summary {
  const { imageId, digest, names, sizeBytes } = result;
  const image = imageId === undefined && digest === undefined ? undefined : { names, digest, imageId, sizeBytes };
  const stored: readonly Place[] = names.slice(0, 1).map((name) => ({ kind: "store", name: familiarName(name) }));
  const targets = (invocation.outputs ?? []).filter(({ kind }) => kind !== "cache");
  if (targets.every(({ kind }) => kind === "store") && !targets.some(isPushed))
    return { kind: "built", image, places: stored };
  const name = invocation.request.tags?.[0] ?? imageId;
  const places = targets.flatMap((target, i): readonly Place[] => {
    const made = result.outputs[i];
    if (target.kind === "load") return loader ? [{ kind: "loaded", program: loader.program, name }] : [];
    if (target.kind === "store")
      return (made?.pushed ?? []).map((pushed) => ({ kind: "pushed", name: pushed, digest: made?.digest }));
    if (target.kind !== "path") return [];
    return [{ kind: "written", type: target.type, dest: target.dest, sizeBytes: made?.sizeBytes }];
  });
  return { kind: "built", image, places };
}
