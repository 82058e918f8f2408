import { type Command, Option } from "commander";

/** The flags of every command that opens an engine. */
export function addCommon(command: Command): Command {
  return command
    .option("--root <dir>", "directory of images and cache (ASHLAR_ROOT)")
    .option("-D, --debug", "show what caused an error, and warnings in full");
}

/** A flag that may be given several times. Commander's first value of a --no- flag is `true`. */
export function list(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, previous: unknown) =>
    Array.isArray(previous) ? [...previous, value] : [value],
  );
}
