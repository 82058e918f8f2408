import { missText, type ProgressEvent } from "../progress/index.js";

/** Why steps ran that an earlier build had, as the build tells it. */
export class ToldMisses {
  readonly #names = new Map<string, string>();
  readonly #misses: object[] = [];

  /** A step, its causes as data, and those as one line. */
  get list(): readonly object[] {
    return this.#misses;
  }

  take(event: ProgressEvent): void {
    if (event.type === "vertex-started") this.#names.set(event.vertex.digest, event.vertex.name);
    if (event.type !== "vertex-missed") return;
    const { vertex, miss } = event;
    this.#misses.push({ step: this.#names.get(vertex), vertex, text: missText(miss), ...miss });
  }
}
