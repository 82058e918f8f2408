import { stat } from "node:fs/promises";
import { type AbortOptions, EngineError, errorCode, readRegularFile, unreachable } from "../base/index.js";

/** The secrets a caller lends to a build. What they hold is never part of a message or a key. */
export interface Secrets {
  /** The secret's bytes, undefined if the caller lends none of that ID. Errors: `not-found`, `denied`, `invalid` if it is too large. */
  get(id: string, options?: AbortOptions): Promise<Uint8Array | undefined>;
}

/** One secret: what is in a file when it is asked for, or a value. */
export type SecretSpec =
  | { readonly id: string; readonly source: "file"; readonly path: string }
  | { readonly id: string; readonly source: "value"; readonly value: Uint8Array };

/** Bytes of one secret: BuildKit's limit. */
export const SECRET_BYTES_MAX = 500 * 1024;

/** The secrets of SPECS; of several with one id the last counts. Fails at once, with `not-found`, for a file that isn't there. */
export async function openSecrets(specs: readonly SecretSpec[]): Promise<Secrets> {
  const byId = new Map(specs.map((spec) => [spec.id, spec]));
  for (const spec of byId.values()) {
    if (spec.source === "file") await stat(spec.path).catch((cause) => Promise.reject(unreadable(spec.path, cause)));
  }
  return {
    async get(id, options) {
      const spec = byId.get(id);
      return spec && read(spec, options);
    },
  };
}

async function read(spec: SecretSpec, options?: AbortOptions): Promise<Uint8Array> {
  switch (spec.source) {
    case "value":
      if (spec.value.length > SECRET_BYTES_MAX) throw tooLarge(spec.id);
      return spec.value;
    case "file":
      try {
        return await readRegularFile(spec.path, SECRET_BYTES_MAX, options);
      } catch (cause) {
        if (cause instanceof EngineError)
          throw new EngineError(cause.code, `secret ${spec.id}: ${cause.message}`, { cause });
        throw unreadable(spec.path, cause);
      }
    default:
      return unreachable(spec);
  }
}

function tooLarge(id: string): EngineError {
  return new EngineError("invalid", `secret ${id}: larger than ${SECRET_BYTES_MAX} bytes`);
}

function unreadable(path: string, cause: unknown): EngineError {
  const code = errorCode(cause);
  const reason =
    code === "not-found" ? "no such file or directory" : code === "denied" ? "permission denied" : String(cause);
  return new EngineError(code, `failed to stat ${path}: ${reason}`, { cause });
}
