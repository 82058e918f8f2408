import { errorCode, messageOf } from "../../base/index.js";
import { parseEngine } from "../build-request.js";
import { taggedName } from "../image-name.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";

export interface RemoveFlags {
  readonly root?: string;
  readonly force?: boolean;
  /** False for --no-prune. */
  readonly prune?: boolean;
}

/** `ashlar rmi IMAGE...`: takes names away, and images with their last one. One that fails keeps no other from going. */
export async function removeCommand(
  flags: RemoveFlags,
  images: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { stdout, stderr } = surroundings;
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  let code = 0;
  for (const image of images) {
    try {
      const options = { force: flags.force === true, keepContent: flags.prune === false };
      const { untagged, deleted } = await engine.images.remove(image, options);
      stdout.write(untagged.map((name) => `Untagged: ${taggedName(name)}\n`).join(""));
      stdout.write(deleted.map((id) => `Deleted: ${id}\n`).join(""));
    } catch (error) {
      if (errorCode(error) === "not-found" && flags.force) {
        stderr.write(`${messageOf(error)}\n`);
        continue;
      }
      stderr.write(`ERROR: ${messageOf(error)}\n`);
      code = 1;
    }
  }
  return code;
}
