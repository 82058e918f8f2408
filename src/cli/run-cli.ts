import { type Command, CommanderError } from "commander";
import { firstError } from "../base/index.js";
import { createQuietRenderer } from "../progress/index.js";
import { type FlagShape, firstOperand, normalizeWords } from "./argv.js";
import { isSet } from "./build-request.js";
import { USAGE_CODE } from "./exit-codes.js";
import { failureOf } from "./failure.js";
import { createProgram } from "./program.js";
import type { Surroundings } from "./surroundings.js";
import { UsageError } from "./usage-error.js";

/**
 * Does what the command line says; the exit code: 0, 1 for a failure, 125 for a wrong command line, what a signal asks for,
 * or that of the program that was run. Never throws: whatever goes wrong is told on standard error.
 */
export async function runCli(surroundings: Surroundings): Promise<number> {
  const { stderr } = surroundings;
  let code = 0;
  const program = createProgram(surroundings, (result) => {
    code = result;
  });
  const words = spelledOut(surroundings.args);
  try {
    await program.parseAsync([...commandWords(program, words)], { from: "user" });
    return code;
  } catch (thrown) {
    const error = firstError(thrown);
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const usage = usageError(error);
    if (usage !== undefined) {
      const name = commandName(program, words);
      stderr.write(
        `ERROR: ${usage}\nRun '${["ashlar", name, "--help"].filter(Boolean).join(" ")}' for more information.\n`,
      );
      return USAGE_CODE;
    }
    const debug = isSet(surroundings.env.ASHLAR_DEBUG) || words.some((word) => word === "-D" || word === "--debug");
    const renderer = createQuietRenderer({ write: (text) => stderr.write(text) }, { clock: surroundings.clock });
    renderer.finish(failureOf(error, debug));
    if (!["run", "shell"].includes(commandName(program, words) ?? "")) return 1;
    // The engine is loaded late, so its StartFailure is known by its shape.
    return (error as { exitCode?: number }).exitCode ?? USAGE_CODE;
  }
}

function spelledOut(args: readonly string[]): readonly string[] {
  if (args.length === 0) return ["--help"];
  return args[0] === "--version" || args[0] === "-v" ? ["version"] : args;
}

/** The words with those of the command brought into commander's form. */
function commandWords(program: Command, words: readonly string[]): readonly string[] {
  const { command, at } = calledCommand(program, words);
  if (command === program) return words;
  if (command.commands.length > 0 && at === words.length) return [...words, "--help"];
  const firstOnly = command.name() === "run";
  return [...words.slice(0, at), ...normalizeWords(words.slice(at), flagsOf(command), firstOnly)];
}

function commandName(program: Command, words: readonly string[]): string | undefined {
  const names: string[] = [];
  for (let { command } = calledCommand(program, words); command !== program; command = command.parent ?? program) {
    names.unshift(command.name());
  }
  return names.length === 0 ? undefined : names.join(" ");
}

/** The innermost command that WORDS name, and where its own words begin. */
function calledCommand(program: Command, words: readonly string[]): { readonly command: Command; readonly at: number } {
  let command = program;
  let at = 0;
  for (;;) {
    const operand = firstOperand(words.slice(at), flagsOf(command));
    const word = words[at + operand];
    const inner = operand < 0 ? undefined : command.commands.find((candidate) => isNamed(candidate, word));
    if (inner === undefined) return { command, at };
    command = inner;
    at += operand + 1;
  }
}

function isNamed(command: Command, word: string | undefined): boolean {
  return word !== undefined && (command.name() === word || command.aliases().includes(word));
}

function flagsOf(command: Command): readonly FlagShape[] {
  return command.options.map(({ short, long, required, optional }) => ({
    short,
    long,
    takesValue: required,
    mayHaveValue: optional,
  }));
}

/** The sentence of a mistake in the command line. */
function usageError(error: unknown): string | undefined {
  if (error instanceof UsageError) return error.message;
  if (!(error instanceof CommanderError)) return undefined;
  return error.message
    .replace(/^error: /, "")
    .replace(/\s*\(Did you mean (one of )?(.*?)\?\)\s*$/s, " (did you mean $1$2?)");
}
