import type { Command } from "commander";
import type { ShellFlags } from "./commands/shell.js";
import { list } from "./common-flags.js";
import type { Surroundings } from "./surroundings.js";

/** `ashlar shell`. ADDBUILDFLAGS gives a command those of a build that its graph depends on. */
export function addShell(
  program: Command,
  addBuildFlags: (command: Command) => void,
  { surroundings, done }: { readonly surroundings: Surroundings; readonly done: (code: number) => void },
): void {
  const shell = program
    .command("shell")
    .argument("[words...]", "IMAGE; or STEP CONTEXT: STAGE, STAGE:N, Dockerfile:LINE or a step's digest")
    .description("open a shell in an image, or where a step of a build has left off")
    .usage("[options] IMAGE | STEP CONTEXT [-- COMMAND...]")
    .option("--before", "in place of the step: with its mounts, before it has changed anything")
    .addOption(list("-e, --env <key=value>", "set a variable; without =value, from the environment"))
    .addOption(list("-v, --volume <src:dst>", "mount a directory or file in an image, SRC:DST[:ro]"))
    .option("-u, --user <user>", "run as this user")
    .option("-w, --workdir <dir>", "run in this directory")
    .addOption(list("--secret <spec>", "a secret for the step: id=ID,src=FILE or id=ID,env=NAME"))
    .addOption(list("--ssh <spec>", "an ssh agent or key for the step: default or ID=PATH"))
    .addOption(list("--allow <name>", "grant network.host, security.insecure or device[=NAME]"))
    .addOption(list("--resource <key=value>", "bounds: memory=2g, cpu-quota=50000, cpuset-cpus=0-3 ..."))
    .option("--isolation <kind>", "oci or sandbox");
  addBuildFlags(shell);
  shell.action(async (words: readonly string[], _options: unknown, command: Command) => {
    const { shellCommand } = await import("./commands/shell.js");
    done(await shellCommand(command.optsWithGlobals<ShellFlags>(), words, surroundings));
  });
}
