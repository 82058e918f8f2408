import fs from "node:fs";
import { EngineError, systemCode } from "../../base/index.js";
import type { LayerId, Tree } from "../tree.js";

/** Throws `data-loss` if the files of one of LAYERS are not here. The cwd is the layers' directory. */
export function checkPresent(layers: Tree): void {
  const lost = layers.find((id) => !fs.existsSync(`${id}/fs`));
  if (lost !== undefined) throw lostLayer(lost);
}

/** ERROR, in a sentence of its own if a layer's files were looked for that are not here. */
export function unlessLost(error: unknown): unknown {
  const { path: file } = (error ?? {}) as { path?: unknown };
  const id = /^(\d+)\/fs(\/|$)/.exec(String(file))?.[1];
  const isMissing = ["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "");
  return isMissing && id !== undefined && !fs.existsSync(`${id}/fs/.`) ? lostLayer(Number(id), error) : error;
}

function lostLayer(id: LayerId, cause?: unknown): EngineError {
  return new EngineError("data-loss", `the files of layer ${id} are gone from the state directory`, {
    cause,
    hint: "what has lost them is made again by the next build; ashlar prune --check says what else is missing",
  });
}
