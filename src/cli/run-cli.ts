import { type Command, CommanderError } from "commander";
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
  } catch (error) {
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
    if (commandName(program, words) !== "run") return 1;
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
  const at = firstOperand(words, flagsOf(program));
  const command = at < 0 ? undefined : program.commands.find((candidate) => isNamed(candidate, words[at]));
  if (!command) return words;
  const firstOnly = command.name() === "run";
  return [...words.slice(0, at + 1), ...normalizeWords(words.slice(at + 1), flagsOf(command), firstOnly)];
}

function commandName(program: Command, words: readonly string[]): string | undefined {
  const word = words[firstOperand(words, flagsOf(program))];
  return program.commands.find((command) => isNamed(command, word))?.name();
}

function isNamed(command: Command, word: string | undefined): boolean {
  return word !== undefined && (command.name() === word || command.aliases().includes(word));
}

function flagsOf(command: Command): readonly FlagShape[] {
  return command.options.map(({ short, long, required }) => ({ short, long, takesValue: required }));
}

/** The sentence of a mistake in the command line. */
function usageError(error: unknown): string | undefined {
  if (error instanceof UsageError) return error.message;
  if (!(error instanceof CommanderError)) return undefined;
  return error.message
    .replace(/^error: /, "")
    .replace(/\s*\(Did you mean (one of )?(.*?)\?\)\s*$/s, " (did you mean $1$2?)");
}
