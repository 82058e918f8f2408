import type { RecordedStep, StepExplanation } from "../../engine/index.js";
import { missText, printable } from "../../progress/index.js";
import type { BuildFlags } from "../build-flags.js";
import { parseBuild } from "../build-request.js";
import { loadProxyArgs } from "../docker-config.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { formatTable } from "../table.js";
import { checkInputs, completeRequest } from "./build.js";

/** The flags of `ashlar explain`: those of a build that its steps depend on. */
export interface ExplainFlags extends BuildFlags {
  readonly json?: boolean;
}

/** `ashlar explain STEP CONTEXT`: two records of a step side by side on standard output. */
export async function explainCommand(
  { json, ...flags }: ExplainFlags,
  { step, path }: { readonly step: string; readonly path: string },
  surroundings: Surroundings,
): Promise<number> {
  const { env, cwd, platform, stdout } = surroundings;
  const proxyArgs = loadProxyArgs(surroundings);
  const invocation = parseBuild(flags, path, { env, cwd, proxyArgs, localPlatform: platform });
  checkInputs(invocation);
  return untilStopped(surroundings, async (signal) => {
    const build = { ...(await completeRequest(invocation, surroundings, signal)), signal };
    await using engine = await surroundings.openEngine({ ...invocation.engine, signal });
    const explained = await engine.explain({ build, step });
    stdout.write(json ? `${JSON.stringify(explanationJson(explained), undefined, 2)}\n` : explanationText(explained));
    return 0;
  });
}

/** Version of the JSON form; goes up when something in it changes its meaning. */
const EXPLANATION_VERSION = 1;

function explanationJson(explained: StepExplanation): object {
  return { version: EXPLANATION_VERSION, ...explained, text: missText(explained) };
}

function explanationText({ step, newer, older, causes, omitted }: StepExplanation): string {
  const names = [...new Set([...Object.keys(older?.facts ?? {}), ...Object.keys(newer.facts)])];
  const rows = names.map((name) => {
    const [was, is] = [older?.facts[name], newer.facts[name]].map((value) => printable(value ?? ""));
    return older === undefined ? ["", name, is ?? ""] : [was === is ? "" : "*", name, was ?? "", is ?? ""];
  });
  const heading = older === undefined ? ["", "", timeOf(newer)] : ["", "", timeOf(older), timeOf(newer)];
  const reasons = causes.map((cause) => printable(missText({ causes: [cause], omitted: 0 })));
  if (omitted > 0) reasons.push(`${omitted} more`);
  if (reasons.length === 0) reasons.push(older === undefined ? "it has always been the same" : "nothing differs");
  return `${printable(step)}\n\n${formatTable(heading, rows)}\n${reasons.join("\n")}\n`;
}

function timeOf({ at }: RecordedStep): string {
  return new Date(at).toISOString().replace("T", " ").slice(0, "2026-01-01 00:00:00".length);
}
