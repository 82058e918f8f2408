import path from "node:path";
import { EngineError } from "../base/index.js";
import {
  type DockerfilePlace,
  type FrontendImage,
  type FrontendRequest,
  listTargets,
  requestAt,
} from "../frontend/index.js";
import type { OpMetadata } from "../llb/index.js";

/** As many digits of a digest are enough to mean one. */
const MIN_DIGEST_DIGITS = 7;

/**
 * Where STEP is in the Dockerfile of REQUEST: `Dockerfile:LINE`, `STAGE`, `STAGE:N` as steps are numbered, or the beginning of a step's
 * digest. SOLVE gives the graph of a request, where the text alone does not tell. Throws EngineError `not-found`.
 */
export async function placeOf(
  step: string,
  request: FrontendRequest,
  solve: (request: FrontendRequest) => Promise<FrontendImage>,
): Promise<DockerfilePlace["at"]> {
  const [, name = step, number] = /^(.*):(\d+)$/s.exec(step) ?? [];
  const { name: file } = request.dockerfile;
  if (number !== undefined && (name === file || name === path.posix.basename(file))) return { line: Number(number) };
  const targets = listTargets(request);
  const index = targets.findIndex((target, i) => isStage(name, target.name, i));
  if (index < 0) {
    const digits = /^(?:sha256:)?([0-9a-f]+)$/.exec(step)?.[1] ?? "";
    if (digits.length < MIN_DIGEST_DIGITS) throw unknown(step, file);
    return (
      lineOf(await solve(request), ([digest]) => digest.startsWith(`sha256:${digits}`)) ?? never(unknown(step, file))
    );
  }
  if (number === undefined) return { stage: String(index) };
  const first = targets[index]?.location.startLine ?? 0;
  const end = targets[index + 1]?.location.startLine ?? Number.POSITIVE_INFINITY;
  const image = await solve(requestAt(request, { at: { stage: String(index) }, side: "after" }));
  const found = lineOf(image, ([digest, metadata]) => {
    if (digest === image.definition.root?.digest) return false; // the process at the end of the stage is none of the file's
    const line = metadata.location?.startLine ?? 0;
    return line >= first && line < end && numberOf(metadata) === Number(number);
  });
  return found ?? never(new EngineError("not-found", `no step ${number} in the stage ${name}`));
}

/** `stage-1` is how a stage without a name is shown. */
function isStage(name: string, stage: string | undefined, index: number): boolean {
  if (stage !== undefined && stage === name.toLowerCase()) return true;
  return name === String(index) || (stage === undefined && name === `stage-${index}`);
}

/** N of `[build N/5] RUN make`. */
function numberOf({ name }: OpMetadata): number | undefined {
  const number = /^\[(?:[^\]]* )? ?(\d+)\/\d+\] /.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

function lineOf(
  { definition }: FrontendImage,
  isMeant: (entry: readonly [digest: string, metadata: OpMetadata]) => boolean,
): { readonly line: number } | undefined {
  const entry = [...definition.metadata].find((each) => each[1].location && isMeant(each));
  return entry?.[1].location && { line: entry[1].location.startLine };
}

function unknown(step: string, file: string): EngineError {
  return new EngineError("not-found", `no step ${JSON.stringify(step)}`, {
    hint: `name a step as STAGE, STAGE:N, ${path.posix.basename(file)}:LINE, or by the beginning of its digest (--progress=rawjson shows it)`,
  });
}

function never(error: EngineError): never {
  throw error;
}
