import type { VertexInfo } from "../progress/index.js";
import type { Tree } from "../snapshot/index.js";
import { type OpContext, Undecided } from "../solver/index.js";
import type { OpEnvironment } from "./environment.js";

/** Fetches and unpacks what of TREE is missing, and shows it under the FROM that named the image. */
export async function ensureTree(
  tree: Tree,
  environment: OpEnvironment,
  { signal, progress, vertex }: OpContext,
): Promise<void> {
  const { clock, layers, pulledBy, mayPull = () => true } = environment;
  const started = new Map<string, number>();
  const shown = new Map<string, VertexInfo>();
  const speaker = (layer: number): VertexInfo => pulledBy.get(layer) ?? vertex;
  if (!mayPull()) {
    const missing = tree.find((layer) => layers.info(layer).state !== "ready");
    if (missing !== undefined) throw new Undecided(speaker(missing));
    return;
  }
  const open = (info: VertexInfo): void => {
    if (info.digest === vertex.digest || shown.has(info.digest)) return;
    shown.set(info.digest, info);
    progress.emit({ type: "vertex-started", vertex: info, at: clock.now() });
  };
  const close = (outcome: { kind: "done" } | { kind: "canceled" }): void => {
    for (const info of shown.values())
      progress.emit({ type: "vertex-completed", vertex: info.digest, at: clock.now(), outcome });
  };
  try {
    await layers.ensure(tree, {
      signal,
      onPull(layer, descriptor, step, amount) {
        const info = speaker(layer);
        open(info);
        const id = step === "download" ? descriptor.digest : `extracting ${descriptor.digest}`;
        const startedAt = started.get(id) ?? clock.now();
        started.set(id, startedAt);
        const total = amount?.total ?? descriptor.size;
        progress.emit({
          type: "status",
          vertex: info.digest,
          id,
          at: clock.now(),
          current: amount?.current ?? (step === "done" ? total : 0),
          total,
          unit: "bytes",
          startedAt,
          done: step === "done",
        });
      },
    });
    close({ kind: "done" });
  } catch (error) {
    close({ kind: "canceled" });
    throw error;
  }
}
