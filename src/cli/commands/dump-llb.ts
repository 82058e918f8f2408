import { once } from "node:events";
import type { BuildGraph } from "../../engine/index.js";
import type { BuildFlags } from "../build-flags.js";
import { parseBuild } from "../build-request.js";
import { loadProxyArgs } from "../docker-config.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { parseChoice } from "../values.js";
import { checkInputs, completeRequest } from "./build.js";

/** The flags of `ashlar debug dump-llb`: those of a build that its graph depends on, and how it is shown. */
export interface DumpFlags extends BuildFlags {
  readonly format?: string;
}

/** `ashlar debug dump-llb`: the graph of a build on standard output, as JSON lines or as the bytes of a `pb.Definition`. */
export async function dumpLlbCommand(
  { format, ...flags }: DumpFlags,
  contextPath: string | undefined,
  surroundings: Surroundings,
): Promise<number> {
  const { env, cwd, platform, stdout, stderr } = surroundings;
  const form = parseChoice(format ?? "json", "--format", FORMATS);
  if (form === "protobuf" && stdout.isTTY) throw new UsageError("refusing to write protobuf to a terminal");
  const proxyArgs = loadProxyArgs(surroundings);
  const invocation = parseBuild(flags, contextPath, { env, cwd, proxyArgs, localPlatform: platform });
  checkInputs(invocation);
  return untilStopped(surroundings, async (signal) => {
    const request = await completeRequest(invocation, surroundings, signal);
    await using engine = await surroundings.openEngine({ ...invocation.engine, signal });
    const graphs = await engine.graphs({
      ...request,
      signal,
      onProgress: (event) => {
        // What the build checks say is for --check to tell.
        const isOwn = event.type === "warning" && event.warning.rule === undefined;
        if (isOwn) stderr.write(`WARNING: ${event.warning.message}\n`);
      },
    });
    if (!stdout.write(dumped(graphs, form))) await once(stdout, "drain", { signal });
    return 0;
  });
}

const FORMATS = ["json", "protobuf"] as const;

function dumped(graphs: readonly BuildGraph[], form: (typeof FORMATS)[number]): string | Uint8Array {
  if (form === "json") return graphs.flatMap(({ lines }) => lines.map((line) => `${line}\n`)).join("");
  const [graph, ...others] = graphs;
  if (graph === undefined || others.length > 0)
    throw new UsageError("--format=protobuf holds the graph of one platform: name one with --platform");
  return graph.protobuf;
}
