import path from "node:path";
import { parseEngine } from "../build-request.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { lendTerminal } from "../terminal.js";
import { UsageError } from "../usage-error.js";
import { parsePairs } from "../values.js";
import { ambientOf } from "./engine-flags.js";

export interface RunFlags {
  readonly root?: string;
  readonly isolation?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly volume?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly entrypoint?: string;
}

/** `ashlar run IMAGE [ARG...]`: runs a stored image in the foreground; its exit code. */
export async function runCommand(
  flags: RunFlags,
  words: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const [image, ...args] = words;
  if (image === undefined) throw new UsageError("no image given to run");
  if (flags.tty && surroundings.stdin.isTTY !== true) throw new UsageError("-t needs a terminal on standard input");
  const env = parsePairs(flags.env ?? [], "variable", (key) => surroundings.env[key]);
  const request = {
    image,
    args,
    env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
    volumes: (flags.volume ?? []).map((volume) => resolvedVolume(volume, surroundings.cwd)),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.workdir === undefined ? {} : { workdir: flags.workdir }),
    ...(flags.entrypoint === undefined ? {} : { entrypoint: flags.entrypoint }),
  };
  const options = parseEngine(flags, ambientOf(surroundings));
  return untilStopped(surroundings, async (signal) => {
    await using engine = await surroundings.openEngine({ ...options, signal });
    using terminal = flags.tty ? lendTerminal(surroundings, surroundings.stdout) : undefined;
    return await engine.run({ ...request, ...(terminal ? { terminal } : {}), signal });
  });
}

/** `SRC:DST[:ro|rw]` with an absolute source. */
export function resolvedVolume(volume: string, cwd: string): string {
  const [source = "", target = "", mode, ...rest] = volume.split(":");
  if (
    source === "" ||
    !target.startsWith("/") ||
    rest.length > 0 ||
    (mode !== undefined && mode !== "ro" && mode !== "rw")
  ) {
    throw new UsageError(
      `invalid value ${JSON.stringify(volume)} for --volume: it is SRC:DST[:ro], DST an absolute path`,
    );
  }
  if (!/^[./]/.test(source))
    throw new UsageError(`named volumes are not supported: write ./${source} for the directory`);
  return [path.resolve(cwd, source), target, ...(mode === "ro" ? ["ro"] : [])].join(":");
}
