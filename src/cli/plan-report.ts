import type { BuildPlan, Miss, PlannedStep } from "../engine/index.js";
import { formatBytes, missText, printable, shownMiss, type ToldCauses } from "../progress/index.js";
import { parseBoolean, parseChoice } from "./values.js";

/** `--plan`: what is told instead of building, and how. */
export type PlanForm = "text" | "json";

const FORMS = ["text", "json"] as const;

/** The value of --plan, empty where there is none; undefined where it is switched off. Throws UsageError. */
export function parsePlan(value: string): PlanForm | undefined {
  if (/^(?:1|0|t|f|true|false)$/i.test(value)) return parseBoolean(value, "--plan") ? "text" : undefined;
  return value === "" ? "text" : parseChoice(value, "--plan", FORMS);
}

/** PLAN on standard output. */
export function planText(plan: BuildPlan, form: PlanForm): string {
  return form === "json" ? `${JSON.stringify(planJson(plan), undefined, 2)}\n` : planLines(plan).join("\n");
}

/** Version of the JSON form; goes up when something in it changes its meaning. */
const PLAN_VERSION = 1;

function planJson({ steps, pulls, isCached }: BuildPlan): object {
  const told = steps.map(({ causes, omitted = 0, ...step }) => ({
    ...step,
    ...(causes === undefined ? {} : { text: missText({ causes, omitted }), causes, omitted }),
  }));
  const pulled = pulls.map(({ isCertain, ...pull }) => ({ ...pull, certain: isCertain }));
  return { version: PLAN_VERSION, cached: isCached, steps: told, pulls: pulled };
}

function planLines({ steps, pulls }: BuildPlan): readonly string[] {
  const told: ToldCauses = new Map();
  // The numbers that a build shows are others: steps are named.
  const nameOf = (number: number) => steps[number]?.name ?? "";
  const lines = steps.map((step, i) => {
    const state = stateText(step, (miss) => shownMiss(miss, { number: i, vertex: step.vertex }, told).text(nameOf));
    return `${printable(step.name)}\n   ${printable(state)}`;
  });
  return [...lines, ...pulls.map(pullText), `${summary(steps)}\n`];
}

function pullText({ layers, sizeBytes, isCertain, ...place }: BuildPlan["pulls"][number]): string {
  const name = "cache" in place ? `from ${place.cache}` : `${place.image} (${place.platform})`;
  const amount = `${formatBytes(sizeBytes)} in ${layers} ${layers === 1 ? "layer" : "layers"}`;
  return printable(`${isCertain ? "would" : "may"} pull ${name}: ${amount}`);
}

function stateText(step: PlannedStep, textOf: (miss: Miss) => string): string {
  switch (step.state) {
    case "cached":
      return step.cache === undefined ? "cached" : `cached in ${step.cache}`;
    case "run": {
      const { causes, omitted = 0 } = step;
      return causes === undefined ? "will run" : `will run: ${textOf({ causes, omitted })}`;
    }
    case "depends":
      return `depends on what ${step.on} gives`;
  }
}

function summary(steps: readonly PlannedStep[]): string {
  const count = (state: PlannedStep["state"]) => steps.filter((step) => step.state === state).length;
  const depends = count("depends");
  const tail = depends === 0 ? "" : `, ${depends} ${depends === 1 ? "depends" : "depend"} on what they give`;
  return `${count("cached")} of ${steps.length} ${steps.length === 1 ? "step is" : "steps are"} cached, ${count("run")} would run${tail}`;
}
