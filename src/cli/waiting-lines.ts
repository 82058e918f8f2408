import type { ProgressSink } from "../progress/index.js";
import type { Output } from "./surroundings.js";

/** Tells on OUT, a line each, what an engine waits for while nobody shows how far it is. */
export function tellOnLines(out: Pick<Output, "write">): ProgressSink["emit"] {
  return (event) => {
    if (event.type === "vertex-started") out.write(`${event.vertex.name}\n`);
  };
}
