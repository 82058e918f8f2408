import { type ExecOp, execState, type MountSpec, scratch } from "../../llb/index.js";
import type { RunInstruction } from "./ast.js";
import { convertMounts, type RunMounts } from "./convert-mounts.js";
import { commandArgs } from "./convert-settings.js";
import { Expansion } from "./expansion.js";
import { inlineDocument } from "./inline-document.js";
import { rooted } from "./paths.js";
import { addHistory, invalidAt, type StageBuild, type StepScope, shownVariables, stepMetadata } from "./stage-build.js";
import { capitalized } from "./vertex-names.js";

/** RUN: a process in the file system so far, of which it keeps what it changed. */
export function convertRun(build: StageBuild, step: StepScope<RunInstruction>): void {
  const { instruction } = step;
  const { args, script } = runCommand(build, instruction);
  if (args.length === 0) throw invalidAt(build, instruction, instruction.keyword.range, "arguments are required");
  // A process may read any file.
  build.used.add("/");
  const { mounts, secretEnv, sshSocket } = convertMounts(build, step);
  const spec = {
    meta: execMeta(build, args, sshSocket),
    network: network(build, instruction),
    security: instruction.security ?? "sandbox",
    secretEnv: secretEnv.length === 0 ? undefined : secretEnv,
    devices: instruction.devices.length === 0 ? undefined : instruction.devices.map(deviceOf),
    mounts: [...(script === undefined ? [] : [script]), ...mounts, ...sharedMemory(build)],
  };
  const text = runText(build, instruction, secretEnv);
  const name = build.names.next(text, { trigger: step.trigger, variables: build.variables });
  const metadata = stepMetadata(build, step, name, true);
  build.state = execState(build.state, spec, { metadata, platform: build.platform });
  addHistory(build, `RUN ${[...argsInForce(build), ...args].join(" ")}`, "layer");
}

/** Where scripts of heredocs with a `#!` line are, for the time of the step. */
const SCRIPTS = "/dev/pipes/";
const SCRIPT_MODE = 0o755;
const SSH_SOCKET_VARIABLE = "SSH_AUTH_SOCK";
const HOSTNAME_ARG = "BUILDKIT_SANDBOX_HOSTNAME";

interface RunCommand {
  readonly args: readonly string[];
  /** The mount that holds the script. */
  readonly script: MountSpec | undefined;
}

/**
 * The command. One that is nothing but a heredoc is the heredoc's text, or a file of it where it names its interpreter; of any
 * other the shell gets command and heredocs as they were written.
 */
function runCommand(build: StageBuild, { command, heredocs }: RunInstruction): RunCommand {
  const [first] = heredocs;
  if (first === undefined || command.form === "exec")
    return { args: commandArgs(build.config, command), script: undefined };
  const shell = (text: string) => commandArgs(build.config, { form: "shell", text });
  if (heredocs.length > 1 || command.text.trim() !== first.word.text) {
    const bodies = heredocs.map(({ raw, name }) => `\n${raw}${name}`);
    return { args: shell(command.text + bodies.join("")), script: undefined };
  }
  if (!first.content.startsWith("#!")) return { args: shell(first.content), script: undefined };
  const from = inlineDocument(rooted(first.name), SCRIPT_MODE, first.content);
  const script: MountSpec = { from, mount: { type: "bind", dest: SCRIPTS, selector: "/", readonly: true } };
  return { args: shell(SCRIPTS + first.name), script };
}

function execMeta(build: StageBuild, args: readonly string[], sshSocket: string | undefined): ExecOp["meta"] {
  const { request, proxyEnv, buildArgs } = build.scope;
  const { User: user = "", WorkingDir: directory = "/" } = build.config.config;
  const { variables } = build;
  const knowsSocket = sshSocket === undefined || variables.get(SSH_SOCKET_VARIABLE) !== undefined;
  return {
    args,
    env: knowsSocket ? variables.entries : [...variables.entries, `${SSH_SOCKET_VARIABLE}=${sshSocket}`],
    cwd: rooted(directory),
    user,
    proxyEnv,
    extraHosts: request.extraHosts.length === 0 ? undefined : request.extraHosts,
    hostname: buildArgs.get(HOSTNAME_ARG) || undefined,
    ulimits: request.ulimits.length === 0 ? undefined : request.ulimits,
    cgroupParent: request.cgroupParent || undefined,
  };
}

function sharedMemory({ scope: { request } }: StageBuild): readonly MountSpec[] {
  const { shmSizeBytes: sizeBytes } = request;
  if (!sizeBytes) return [];
  return [{ from: scratch, mount: { type: "tmpfs", dest: "/dev/shm", readonly: false, tmpfs: { sizeBytes } } }];
}

/** `--network=default` is what the build was told, as is none at all. */
function network(
  { scope: { request } }: StageBuild,
  { network: wanted = "default" }: RunInstruction,
): ExecOp["network"] {
  const mode = wanted === "default" ? request.network : wanted;
  return mode === "default" ? "sandbox" : mode;
}

function deviceOf({ name, required }: RunInstruction["devices"][number]): NonNullable<ExecOp["devices"]>[number] {
  return { name, optional: !required };
}

/** The ARGs in scope as the history shows them: `|2 A=1 B=`, with the values that the process sees. */
function argsInForce({ args, variables }: StageBuild): readonly string[] {
  const shown = [...args].map(([name, value]) => `${name}=${variables.get(name) ?? value ?? ""}`);
  return shown.length === 0 ? [] : [`|${shown.length}`, ...shown];
}

/** The line that shows the step: variables that are set have their values, secrets are hidden, the shell's own stay. */
function runText(build: StageBuild, instruction: RunInstruction, secrets: RunMounts["secretEnv"]): string {
  const [heredoc] = instruction.heredocs;
  const isScript =
    heredoc !== undefined &&
    instruction.command.form === "shell" &&
    instruction.command.text.trim() === heredoc.word.text;
  const text = instruction.original.trim() + (isScript ? ` (${summary(heredoc.raw)})` : "");
  const hidden = new Set(secrets.map(({ name }) => name));
  const variables = shownVariables(build, hidden);
  const mode = { escapeCharacter: build.scope.escape, quotes: "keep", keepEscapes: false, keepUnset: true } as const;
  const result = new Expansion(text, variables, mode).word();
  return capitalized(result.ok ? result.value : text);
}

function summary(script: string): string {
  const [first = "", ...others] = script.trim().split(/\r?\n/);
  return others.length === 0 ? first : `${first}...`;
}
