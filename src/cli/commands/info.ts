import { parseEngine } from "../build-request.js";
import type { Surroundings } from "../surroundings.js";
import { readVersion } from "../version.js";
import { ambientOf, type EngineFlags } from "./engine-flags.js";

/** `ashlar info`: what the engine works with on this machine. */
export async function infoCommand(flags: EngineFlags, surroundings: Surroundings): Promise<number> {
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const facts = { Version: readVersion(), ...(await engine.info()) };
  const width = Math.max(...Object.keys(facts).map((key) => key.length)) + 2;
  surroundings.stdout.write(
    Object.entries(facts)
      .map(([key, value]) => `${`${key}:`.padEnd(width)}${value}\n`)
      .join(""),
  );
  return 0;
}
