import { EngineError, messageOf } from "../../base/index.js";
import { formatReference, parseReference, withDefaultTag } from "../../oci/index.js";

/** The image that NAME means, in full: `alpine` is `docker.io/library/alpine:latest`. Throws `invalid` for what is no name. */
export function fullImageName(name: string): string {
  try {
    return formatReference(withDefaultTag(parseReference(name)));
  } catch (error) {
    const message = `failed to parse stage name ${JSON.stringify(name)}: ${messageOf(error)}`;
    throw new EngineError("invalid", message, { cause: error });
  }
}
