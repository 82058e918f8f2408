import { EngineError } from "../base/index.js";
import type { VertexInfo } from "../progress/index.js";

/** What is asked can't be told before `vertex` has run or has been fetched, and nothing may run: a build is only planned. */
export class Undecided extends EngineError {
  readonly vertex: VertexInfo;

  constructor(vertex: VertexInfo) {
    super("unavailable", `${vertex.name} has to run first`);
    this.vertex = vertex;
  }
}
