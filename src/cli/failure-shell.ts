import { errorCode, messageOf } from "../base/index.js";
import type { BuildRequest, FailedContainer } from "../engine/index.js";
import { type PausableRenderer, printable } from "../progress/index.js";
import type { BuildInvocation } from "./build-request.js";
import type { Surroundings } from "./surroundings.js";
import { hasTerminal, lendTerminal } from "./terminal.js";
import { UsageError } from "./usage-error.js";

/**
 * `--on-error=shell`: opens a shell in the container of a step that fails, on the terminal that RENDERER leaves for the time. Throws
 * UsageError where there is no terminal, or it is used otherwise.
 */
export function failureShell(
  { shellOnError, context, dockerfileFromStdin, call, progress }: BuildInvocation,
  renderer: PausableRenderer,
  surroundings: Surroundings,
): Pick<BuildRequest, "onFailedStep"> {
  if (!shellOnError) return {};
  const { stderr } = surroundings;
  if (call) throw new UsageError("--on-error=shell and --call cannot be used together: nothing is run");
  if (progress === "rawjson") throw new UsageError("--on-error=shell and --progress=rawjson cannot be used together");
  if (context.kind === "stdin" || dockerfileFromStdin)
    throw new UsageError("--on-error=shell reads standard input, from which the context or the Dockerfile is to come");
  if (!hasTerminal(surroundings, stderr))
    throw new UsageError("--on-error=shell needs a terminal on standard input and standard error");
  return {
    async onFailedStep(container) {
      const resume = renderer.pause();
      try {
        stderr.write(introduction(container));
        using terminal = lendTerminal(surroundings, stderr);
        await container.shell(terminal);
      } catch (error) {
        if (errorCode(error) !== "canceled") stderr.write(`No shell: ${messageOf(error)}\n`);
      } finally {
        stderr.write("\n");
        resume();
      }
    },
  };
}

function introduction({ name, exitCode, location, cwd, args }: FailedContainer): string {
  const how = exitCode === undefined ? "was killed" : `failed with exit code ${exitCode}`;
  return [
    "",
    `${printable(name)} ${how}`,
    ...(location ? [`  at ${location.file}:${location.startLine}`] : []),
    "This is a shell in its container, as the step left it. To run the step again:",
    `  ${commandLine(cwd, args)}`,
    "Other steps go on meanwhile. Leave the shell (exit), and the build fails; only what is in cache mounts is kept.",
    "",
    "",
  ].join("\n");
}

/** More of a command than this is no help on a screen. */
const MAX_COMMAND_LINES = 20;
const MAX_COMMAND_LENGTH = 2000;

/** What to type. A terminal is told nothing by what a Dockerfile holds. */
function commandLine(cwd: string, args: readonly string[]): string {
  const line = `cd ${quoted(cwd)} && ${args.map(quoted).join(" ")}`;
  const lines = line
    .split("\n")
    .map((each) => each.replaceAll("\t", "    "))
    .map(printable);
  if (lines.length > MAX_COMMAND_LINES || line.length > MAX_COMMAND_LENGTH)
    return `cd ${printable(quoted(cwd))}, and what the Dockerfile says there`;
  return lines.join("\n");
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
