import type { Engine, ShellPlaceName } from "../../engine/index.js";
import type { BuildFlags } from "../build-flags.js";
import { parseBuild, parseEngine } from "../build-request.js";
import { loadProxyArgs } from "../docker-config.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { hasTerminal, lendTerminal } from "../terminal.js";
import { UsageError } from "../usage-error.js";
import { parsePairs } from "../values.js";
import { checkInputs, completeRequest } from "./build.js";
import { ambientOf } from "./engine-flags.js";
import { resolvedVolume } from "./run.js";

/** The flags of `ashlar shell`: those of a build that its steps depend on, and those of a container. */
export interface ShellFlags extends BuildFlags {
  readonly before?: boolean;
  readonly env?: readonly string[];
  readonly volume?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
}

/**
 * `ashlar shell IMAGE` and `ashlar shell STEP CONTEXT`, with a command after `--` or none; WORDS are without the dashes. The exit code is
 * the shell's, or the command's.
 */
export async function shellCommand(
  flags: ShellFlags,
  words: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { operands, args } = divided(words, surroundings.args);
  const { stdout, env: environment } = surroundings;
  const isInteractive = hasTerminal(surroundings, stdout);
  if (args.length === 0 && !isInteractive)
    throw new UsageError("a shell needs a terminal on standard input and output: without one, give a command after --");
  const env = parsePairs(flags.env ?? [], "variable", (key) => environment[key]);
  const request = {
    args,
    env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.workdir === undefined ? {} : { workdir: flags.workdir }),
  };
  const options = parseEngine(flags, ambientOf(surroundings));
  return untilStopped(surroundings, async (signal) => {
    const place = await placeOf(operands, flags, { surroundings, signal });
    await using engine: Engine = await surroundings.openEngine({ ...options, signal });
    using terminal = isInteractive ? lendTerminal(surroundings, stdout) : undefined;
    return await engine.shell({ ...request, place, ...(terminal ? { terminal } : {}), signal });
  });
}

/** WORDS before and after the `--` that ARGV holds. */
function divided(words: readonly string[], argv: readonly string[]) {
  const dashes = argv.indexOf("--");
  const count = dashes < 0 ? 0 : argv.length - dashes - 1;
  return { operands: words.slice(0, words.length - count), args: words.slice(words.length - count) };
}

interface Asking {
  readonly surroundings: Surroundings;
  readonly signal: AbortSignal;
}

/** With a context it is a step of its build, without one an image: `app:2` could be either. */
async function placeOf(
  [name, context, ...others]: readonly string[],
  flags: ShellFlags,
  { surroundings, signal }: Asking,
): Promise<ShellPlaceName> {
  if (name === undefined) throw new UsageError("no image given to open a shell in, and no step and context");
  if (others.length > 0) throw new UsageError(`unexpected ${JSON.stringify(others[0])}: a command stands after --`);
  if (context === undefined) {
    if (flags.before || flags.file !== undefined)
      throw new UsageError("a step is named with its context: ashlar shell STEP CONTEXT");
    const volumes = (flags.volume ?? []).map((volume) => resolvedVolume(volume, surroundings.cwd));
    return { kind: "image", image: name, volumes };
  }
  if (flags.volume) throw new UsageError("--volume is for images: a step has the mounts that its RUN asks for");
  const { env, cwd, platform } = surroundings;
  const ambient = { env, cwd, proxyArgs: loadProxyArgs(surroundings), localPlatform: platform };
  const invocation = parseBuild(flags, context, ambient);
  checkInputs(invocation);
  const build = await completeRequest(invocation, surroundings, signal);
  return { kind: "step", step: name, side: flags.before ? "before" : "after", build };
}
