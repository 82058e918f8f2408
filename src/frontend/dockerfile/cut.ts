import { EngineError } from "../../base/index.js";
import type { FrontendRequest } from "../frontend.js";
import type { DockerfileNode, Instruction, StageNode } from "./ast.js";
import type { EscapeCharacter } from "./expand.js";
import { linePart } from "./lines.js";
import { readDockerfile } from "./solve.js";

/** A place between the instructions of a Dockerfile. */
export interface DockerfilePlace {
  /** A line of the instruction, from 1; or a stage, by its name or number, whose last instruction is meant. */
  readonly at: { readonly line: number } | { readonly stage: string };
  readonly side: "before" | "after";
}

/**
 * REQUEST for an image that ends with a process at PLACE: as if the file ended there, with a RUN of its own. Before a RUN it is that RUN
 * itself, whose command one may leave out. Throws EngineError `not-found` where there is no such place, a DiagnosticError for syntax errors.
 */
export function requestAt(request: FrontendRequest, { at, side }: DockerfilePlace): FrontendRequest {
  const { dockerfile } = readDockerfile(request);
  const { stage, index } = "line" in at ? findLine(dockerfile, at.line, request) : findStage(dockerfile, at.stage);
  const inStage: readonly Instruction[] = [stage.from, ...stage.instructions];
  const here = inStage[index];
  const isOwnRun = side === "before" && here?.kind === "run";
  const last = side === "after" || isOwnRun ? here : inStage[index - 1];
  if (!last)
    throw new EngineError("not-found", "nothing stands before a FROM: leave --before out, or name a later step");
  const lines = ended(request.dockerfile.text.split("\n").slice(0, last.range.end.line), dockerfile.directives.escape);
  const text = [...lines, ...(isOwnRun ? [] : [PROCESS]), ""].join("\n");
  return { ...request, dockerfile: { ...request.dockerfile, text }, target: undefined };
}

/** LINES without the sign that they go on: the last instruction of a file may have it, and nothing but comments after it. */
function ended(lines: readonly string[], escapeCharacter: EscapeCharacter): readonly string[] {
  const end = lines.findLastIndex((line) => !/^\s*(#|$)/.test(line));
  const { text, continues } = linePart(lines[end] ?? "", 0, escapeCharacter);
  return continues ? [...lines.slice(0, end), text] : lines;
}

/** What it runs is of no concern; in exec form no shell has a part in it. */
const PROCESS = 'RUN ["/bin/sh"]';

interface Found {
  readonly stage: StageNode;
  /** 0 is FROM. */
  readonly index: number;
}

function findStage({ stages }: DockerfileNode, name: string): Found {
  const byName = stages.find(({ from }) => from.name?.text.toLowerCase() === name.toLowerCase());
  const stage = byName ?? (/^\d+$/.test(name) ? stages[Number(name)] : undefined);
  if (stage) return { stage, index: stage.instructions.length };
  const names = stages.map(({ from, index }) => from.name?.text ?? String(index)).join(", ");
  throw new EngineError("not-found", `no stage ${JSON.stringify(name)}: there are ${names}`);
}

function findLine({ stages }: DockerfileNode, line: number, { dockerfile: { name } }: FrontendRequest): Found {
  for (const stage of stages) {
    const index = [stage.from, ...stage.instructions].findIndex(
      ({ range: { start, end } }) => start.line <= line && line <= end.line,
    );
    if (index >= 0) return { stage, index };
  }
  throw new EngineError("not-found", `no step at ${name}:${line}`);
}
