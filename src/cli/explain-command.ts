import type { Command } from "commander";
import type { ExplainFlags } from "./commands/explain.js";
import type { Surroundings } from "./surroundings.js";

/** `ashlar explain`. ADDBUILDFLAGS gives a command those of a build that its graph depends on. */
export function addExplain(
  program: Command,
  addBuildFlags: (command: Command) => void,
  { surroundings, done }: { readonly surroundings: Surroundings; readonly done: (code: number) => void },
): void {
  const explain = program
    .command("explain")
    .argument("<step>", "STAGE, STAGE:N, Dockerfile:LINE or the beginning of a step's digest")
    .argument("[path]", "the context of its build", ".")
    .description("show what a step was made of in its last two builds")
    .option("--json", "as JSON");
  addBuildFlags(explain);
  explain.action(async (step: string, path: string, _options: unknown, command: Command) => {
    const { explainCommand } = await import("./commands/explain.js");
    done(await explainCommand(command.optsWithGlobals<ExplainFlags>(), { step, path }, surroundings));
  });
}
