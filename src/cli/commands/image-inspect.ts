import { messageOf } from "../../base/index.js";
import type { ImageDetails } from "../../engine/index.js";
import { parseEngine } from "../build-request.js";
import { goValueJson } from "../go-template/index.js";
import { dockerImage } from "../image-json.js";
import { rendered } from "../listing.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { ambientOf } from "./engine-flags.js";

export interface InspectFlags {
  readonly root?: string;
  readonly format?: string;
  readonly platform?: string;
  readonly type?: string;
}

/** `ashlar inspect IMAGE...`: all that is known of images, as docker shows it. Those that can't be found are told, the others shown. */
export async function inspectCommand(
  flags: InspectFlags,
  images: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { stdout, stderr } = surroundings;
  if (flags.type !== undefined && flags.type !== "image")
    throw new UsageError(`invalid value ${JSON.stringify(flags.type)} for --type: there are images only`);
  const show = formatter(flags.format);
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const found: ImageDetails[] = [];
  const failures: string[] = [];
  for (const image of images) {
    try {
      found.push(await engine.images.inspect(image, { platform: flags.platform }));
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  stdout.write(show(found));
  for (const failure of failures) stderr.write(`ERROR: ${failure}\n`);
  return failures.length > 0 ? 1 : 0;
}

function formatter(format: string | undefined): (images: readonly ImageDetails[]) => string {
  if (format === undefined || format === "") return (images) => `${goValueJson(images.map(dockerImage), 4)}\n`;
  if (format === "json") return (images) => `${goValueJson(images.map(dockerImage))}\n`;
  return (images) =>
    rendered(format, images.map(dockerImage))
      .map((text) => `${text}\n`)
      .join("");
}
