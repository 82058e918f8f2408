import type { Healthcheck } from "../../oci/index.js";
import type {
  ArgInstruction,
  CommandInstruction,
  CommandLine,
  EnvInstruction,
  ExposeInstruction,
  HealthcheckInstruction,
  LabelInstruction,
  StopsignalInstruction,
  VolumeInstruction,
} from "./ast.js";
import { derived, noteDerivation } from "./derivations.js";
import { expandWords } from "./expand.js";
import { healthcheckText, plainList, quotedList } from "./history.js";
import type { DraftConfig } from "./imageconfig.js";
import { exposedPorts } from "./ports.js";
import {
  addHistory,
  expanded,
  HIDDEN_ARGS,
  invalid,
  invalidAt,
  type StageBuild,
  setVariable,
  within,
} from "./stage-build.js";
import { isSignal } from "./stopsignal.js";

/** What a shell command of an image for Linux is run with unless SHELL says otherwise. */
const DEFAULT_SHELL = ["/bin/sh", "-c"];

/** ENV: all words are expanded before the first is set. */
export function convertEnv(build: StageBuild, instruction: EnvInstruction): void {
  const set = instruction.pairs.map(({ key, value = "", range }) => ({
    key: expanded(build, instruction, key, range),
    ...derived(build, value, () => expanded(build, instruction, value, range)),
  }));
  for (const { key, value, derivation } of set) {
    setVariable(build, "env", key, value);
    noteDerivation(build, { variable: key }, derivation);
    build.config.config.Env.set(key, value);
  }
  const pairs = set.map(({ key, value }) => [key, value] as const);
  build.facts.expanded.set(
    instruction,
    pairs.map(([key]) => key),
  );
  addHistory(build, `ENV ${pairsText(pairs)}`, "settings");
}

export function convertLabel(build: StageBuild, instruction: LabelInstruction): void {
  const pairs = instruction.pairs.map(
    ({ key, value = "", range }) =>
      [expanded(build, instruction, key, range), expanded(build, instruction, value, range)] as const,
  );
  for (const [key, value] of pairs) build.config.config.Labels.set(key, value);
  addHistory(build, `LABEL ${pairsText(pairs)}`, "settings");
}

/**
 * ARG: --build-arg goes over the default, which goes over the value from ahead of FROM. An ARG that has a value replaces an ENV
 * of its name for what follows, though not in the image; one that has none changes nothing.
 */
export function convertArg(build: StageBuild, instruction: ArgInstruction): void {
  const { buildArgs, globals } = build.scope;
  const shown: string[] = [];
  for (const { key, value: written, range } of instruction.args) {
    const own = () =>
      written === undefined
        ? { value: globals.get(key), derivation: undefined }
        : derived(build, written, () => expanded(build, instruction, written, range));
    const given = buildArgs.get(key);
    const { value, derivation } = given === undefined ? own() : { value: given, derivation: undefined };
    if (value !== undefined && !HIDDEN_ARGS.has(key)) {
      setVariable(build, "arg", key, value);
      noteDerivation(build, { variable: key }, derivation);
    }
    if (!build.args.has(key)) build.argNames = { name: key, previous: build.argNames };
    build.args.set(key, value);
    const inherited = written === undefined && !buildArgs.has(key) && globals.has(key);
    build.facts.args.push({ instruction, key, value, inherited });
    shown.push(value === undefined ? key : `${key}=${value}`);
  }
  addHistory(build, `ARG ${shown.join(" ")}`, "settings");
}

/** CMD and ENTRYPOINT. An entrypoint drops the command that came with the base. */
export function convertCommand(build: StageBuild, instruction: CommandInstruction): void {
  const { config } = build.config;
  const args = commandArgs(build.config, instruction.command);
  if (instruction.kind === "cmd") {
    config.Cmd = args;
    config.ArgsEscaped = true;
    build.hasCommand = true;
  } else {
    config.Entrypoint = args;
    if (!build.hasCommand) config.Cmd = null;
  }
  addHistory(build, `${instruction.kind.toUpperCase()} ${quotedList(args)}`, "settings");
}

/** The arguments of a command: its shell form is one argument of the shell. */
export function commandArgs({ config: { Shell: shell = [] } }: DraftConfig, command: CommandLine): readonly string[] {
  return command.form === "exec" ? command.args : [...(shell.length === 0 ? DEFAULT_SHELL : shell), command.text];
}

/** EXPOSE, its words in order: the history shows them so. */
export function convertExpose(build: StageBuild, instruction: ExposeInstruction): void {
  const sorted = instruction.ports.toSorted((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  const words = sorted.flatMap(({ text: written, range }) => {
    const result = expandWords(written, build.variables, build.scope.escape);
    if (!result.ok) throw invalidAt(build, instruction, range, result.error);
    return result.words.map((text) => ({ text, range }));
  });
  build.facts.expanded.set(
    instruction,
    words.map(({ text }) => text),
  );
  const ports = words.flatMap(({ text, range }) => within(build, instruction, range, () => exposedPorts(text)));
  for (const port of ports) build.config.config.ExposedPorts.add(port);
  addHistory(build, `EXPOSE ${plainList(ports)}`, "settings");
}

export function convertVolume(build: StageBuild, instruction: VolumeInstruction): void {
  const paths = instruction.paths.map(({ text, range }) => expanded(build, instruction, text, range));
  if (paths.includes("")) throw invalid("VOLUME specified can not be an empty string");
  for (const path of paths) build.config.config.Volumes.add(path);
  addHistory(build, `VOLUME ${plainList(paths)}`, "settings");
}

export function convertStopsignal(build: StageBuild, instruction: StopsignalInstruction): void {
  const signal = expanded(build, instruction, instruction.signal.text, instruction.signal.range);
  if (!isSignal(signal)) throw invalidAt(build, instruction, instruction.signal.range, `invalid signal: ${signal}`);
  build.config.config.StopSignal = signal;
  addHistory(build, `STOPSIGNAL ${signal}`, "settings");
}

export function convertHealthcheck(build: StageBuild, { check }: HealthcheckInstruction): void {
  const healthcheck: Healthcheck = check.type === "none" ? { Test: ["NONE"] } : healthcheckOf(check);
  build.config.config.Healthcheck = healthcheck;
  addHistory(build, `HEALTHCHECK ${healthcheckText(healthcheck)}`, "settings");
}

function healthcheckOf(check: Extract<HealthcheckInstruction["check"], { type: "cmd" }>): Healthcheck {
  const { command, interval, timeout, startPeriod, startInterval, retries } = check;
  return {
    Test: command.form === "exec" ? ["CMD", ...command.args] : ["CMD-SHELL", command.text],
    ...(interval === 0 ? {} : { Interval: interval }),
    ...(timeout === 0 ? {} : { Timeout: timeout }),
    ...(startPeriod === 0 ? {} : { StartPeriod: startPeriod }),
    ...(startInterval === 0 ? {} : { StartInterval: startInterval }),
    ...(retries === 0 ? {} : { Retries: retries }),
  };
}

function pairsText(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([key, value]) => `${key}=${value}`).join(" ");
}
