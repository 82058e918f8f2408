import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, EngineError, Scope } from "../base/index.js";
import { type ExportOptions, storeImage } from "../exporters/index.js";
import { createDockerfileFrontend } from "../frontend/index.js";
import { formatPlatform, type ImageConfig } from "../oci/index.js";
import { type ArchiveSource, unpackFiles } from "./archive-files.js";
import type { BuildEngine } from "./build.js";
import { located } from "./failure.js";
import { frontendRequest } from "./frontend-request.js";
import { wantedPlatform } from "./image-lookup.js";
import { prepareInspection } from "./preparation.js";

/** Files that are to become an image. */
export interface ImportRequest extends ExportOptions {
  readonly from: ArchiveSource;
  readonly name?: string | undefined;
  readonly changes?: readonly string[] | undefined;
  readonly message?: string | undefined;
  readonly platform?: string | undefined;
}

/**
 * Makes an image of one layer of the files in an archive, and gives its id. Errors: `invalid` for an archive, a change or a name that won't
 * do, `not-found`, `no-space`, `canceled`.
 */
export async function importImage(engine: BuildEngine, request: ImportRequest): Promise<string> {
  await using scope = new Scope();
  const { layers, outputs, clock } = engine;
  const { from, message, name, ...options } = request;
  const platform = wantedPlatform(request.platform);
  const changed = await changedConfig(engine, request, { signal: options.signal, scope });
  const workspace = await layers.create([]);
  let isDone = false;
  scope.defer(async () => {
    if (!isDone) await layers.abandon(workspace);
  });
  await unpackFiles(engine, { from, workspace }, { signal: options.signal, scope });
  const tree = await layers.commit(workspace, { signal: options.signal });
  isDone = true;
  const created = new Date(clock.now()).toISOString();
  const comment = message || `Imported from ${typeof from === "string" ? from : "-"}`;
  const config = { ...changed, created, history: [{ created, comment }] };
  const image = { platform, tree, config, baseLayers: 0 };
  const names = name === undefined ? [] : [name];
  const stored = await storeImage(outputs, [image], { ...options, names, mediaTypes: "oci" });
  const platforms = stored.images.map((each) => ({ imageId: each.config.digest, manifest: each.manifest }));
  if (name === undefined) await outputs.images.keep({ target: stored.root, platforms });
  return platforms[0]?.imageId ?? stored.root.digest;
}

/** Instructions that change nothing but a config. */
const CHANGES: ReadonlySet<string> = new Set(
  "CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR".split(" "),
);

/** The config of an empty image with the changes: what a Dockerfile of them says. */
async function changedConfig(
  engine: BuildEngine,
  { changes = [], platform }: ImportRequest,
  { scope, signal = new AbortController().signal }: AbortOptions & { readonly scope: Scope },
): Promise<ImageConfig> {
  for (const change of changes) checkChange(change);
  const context = fs.mkdtempSync(path.join(engine.dirs.tmp, `${engine.owner}-import-`));
  scope.defer(() => fs.rmSync(context, { recursive: true, force: true }));
  const dockerfileText = ["FROM scratch", ...changes, ""].join("\n");
  const request = { context, dockerfileText, platforms: [formatPlatform(wantedPlatform(platform))], signal };
  const { inputs, bridge } = await prepareInspection({ engine, request, signal, scope, onWarning: () => {} });
  try {
    const { images } = await createDockerfileFrontend().solve(frontendRequest(request, inputs), bridge, { signal });
    const [image] = images;
    if (!image) throw new EngineError("internal", "the changes make no image");
    return image.config;
  } catch (error) {
    throw located(error, inputs);
  }
}

function checkChange(change: string): void {
  const [word = ""] = change.trim().split(/\s/, 1);
  if (!CHANGES.has(word.toUpperCase())) throw new EngineError("invalid", `${word} is not a valid change command`);
  if (/[\r\n]/.test(change)) throw new EngineError("invalid", `a change has one line: ${JSON.stringify(change)}`);
}
