import { type Digest, EngineError, Scope } from "../base/index.js";
import { openBuildHistory } from "../cache/index.js";
import { createDockerfileFrontend, type FrontendImage, type FrontendRequest, requestAt } from "../frontend/index.js";
import type { Definition } from "../llb/index.js";
import type { BuildEngine } from "./build.js";
import { buildPlace } from "./build-place.js";
import { located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { prepareInspection } from "./preparation.js";
import type { ExplainRequest, StepExplanation } from "./result.js";
import { placeOf } from "./step-address.js";
import { StepDrafts } from "./step-drafts.js";

/** What the step that is named was made of in its last builds. Base images are resolved; nothing is built or pulled. */
export async function explainStep(
  engine: BuildEngine,
  { build: request, step }: ExplainRequest,
): Promise<StepExplanation> {
  await using scope = new Scope();
  const signal = request.signal ?? new AbortController().signal;
  const onWarning = () => {}; // the build has told them
  const { inputs, bridge } = await prepareInspection({ engine, request, signal, scope, onWarning });
  const solve = async (asked: FrontendRequest): Promise<FrontendImage> => {
    const { images } = await createDockerfileFrontend().solve(asked, bridge, { signal });
    const [image] = images;
    if (!image) throw new EngineError("internal", "a Dockerfile without an image");
    return image;
  };
  try {
    const asked = frontendRequest(request, inputs);
    const at = await placeOf(step, asked, solve);
    const image = await solve(requestAt(asked, { at, side: "after" }));
    const { database, clock } = engine;
    const drafts = new StepDrafts({ engine, request, inputs, images: [image] });
    const place = buildPlace(request, inputs);
    const history = await openBuildHistory({ database, clock, place, stages: drafts.outlines() });
    const id = lastStep(image.definition);
    const compared = id && history.compare(id);
    if (!id || !compared) throw unknown(image.definition, id, step);
    return { step: compared.newer.name, ...compared };
  } catch (error) {
    throw located(error, inputs);
  }
}

/** The step before the process that ends the graph; undefined where that is on what the stage begins with. */
function lastStep({ nodes, root }: Definition): Digest | undefined {
  const process = root && nodes.get(root.digest);
  if (process?.op.kind !== "exec") return undefined;
  const { input = -1 } = process.op.mounts.find(({ dest }) => dest === "/") ?? {};
  const id = process.inputs[input]?.digest;
  return id && nodes.get(id)?.op.kind !== "source" ? id : undefined;
}

function unknown({ metadata }: Definition, id: Digest | undefined, step: string): EngineError {
  if (id === undefined) return new EngineError("not-found", `no step has run at ${step} yet: a stage begins there`);
  return new EngineError("not-found", `no build is known that had ${metadata.get(id)?.name ?? step}`, {
    hint: "builds are remembered when one of their steps runs, by their context and Dockerfile; the last dozen of them",
  });
}
