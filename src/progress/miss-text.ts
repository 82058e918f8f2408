import {
  type AttributedCause,
  causeIdentity,
  type FileDifference,
  type Miss,
  type MissCause,
  unreachable,
} from "../base/index.js";

/** Why a step ran, as one line: `src/app.js changed (content); ARG VERSION 1.2 -> 1.3`. */
export function missText({ causes, omitted }: Miss): string {
  return withOmitted(causes.map(attributedText), omitted);
}

/** What was told by now, so that nothing is told twice: each cause with the number of the step that told it. */
export type ToldCauses = Map<string, number>;

/** A step by its number in what is shown, and its vertex. */
export interface ShownStep {
  readonly number: number;
  readonly vertex: string;
}

/** A miss as it is shown below its step; `isNews`: it tells something that no step before it has told. */
export interface ShownMiss {
  readonly isNews: boolean;
  /** The line; NAME_OF: what the step of a number is called there. Default: `#6`. */
  text(nameOf?: (number: number) => string): string;
}

/** The same for a step, in short where steps before it have told the causes already. They are told then. */
export function shownMiss({ causes, omitted }: Miss, { number, vertex }: ShownStep, told: ToldCauses): ShownMiss {
  const fresh: string[] = [];
  const tellers = new Set<number>();
  const alike = new Set<number>();
  for (const each of causes) {
    const id = causeIdentity(each, vertex);
    const teller = told.get(id);
    // A step that has to be made once more says why again.
    if (teller === undefined || teller === number) {
      told.set(id, number);
      fresh.push(attributedText(each));
    } else (each.step === undefined ? alike : tellers).add(teller);
  }
  const isNews = fresh.length > 0;
  const above = new Set([...tellers].filter((teller) => !alike.has(teller)));
  return {
    isNews,
    text(nameOf = (of) => `#${of}`) {
      const others = [...referring("like", alike, nameOf), ...referring("follows from", above, nameOf)];
      return withOmitted([...fresh, ...others], isNews ? omitted : 0);
    },
  };
}

function referring(words: string, numbers: ReadonlySet<number>, nameOf: (of: number) => string): readonly string[] {
  return numbers.size === 0 ? [] : [`${words} ${[...numbers].map(nameOf).join(", ")}`];
}

function withOmitted(parts: readonly string[], omitted: number): string {
  const text = [...parts, ...(omitted > 0 ? [`${omitted} more`] : [])].join("; ");
  // Names of files and values may hold line ends.
  return text.replace(/\s*[\r\n]+\s*/g, " ");
}

function attributedText({ cause, step }: AttributedCause): string {
  if (step === undefined) return causeText(cause);
  if (cause.kind === "step") return `${step.name} ${STEP_TEXTS[cause.change]}${placeText(cause)}`;
  if (cause.kind === "result") return `${step.name} gave another result${reasonText(cause.reason)}`;
  return `${step.name}: ${causeText(cause)}`;
}

function causeText(cause: MissCause): string {
  switch (cause.kind) {
    case "file":
      return fileText(cause);
    case "variable":
      return `${cause.variable} ${cause.name} ${changeText(cause)}`;
    case "instruction":
      return `${cause.part} ${changeText(cause)}`;
    case "image":
      return imageText(cause);
    case "source":
      return cause.from === cause.address || cause.to === cause.address
        ? `${cause.from} -> ${cause.to}`
        : `${cause.address} moved (${short(cause.from)} -> ${short(cause.to)})`;
    case "context":
      return `${cause.name === undefined ? "build context" : `context ${cause.name}`} ${cause.from} -> ${cause.to}`;
    case "no-cache":
      return cause.stage === undefined ? "--no-cache" : `--no-cache-filter=${cause.stage}`;
    case "record":
      return RECORD_TEXTS[cause.gone];
    case "result":
      return `what it is made from gave another result${reasonText(cause.reason)}`;
    case "step":
      return `${OWN_STEP_TEXTS[cause.change]}${placeText(cause)}`;
    case "failed":
      return "it failed in the last build";
    default:
      return unreachable(cause);
  }
}

const STEP_TEXTS = { added: "is new", removed: "was removed", moved: "was moved" } as const;
const OWN_STEP_TEXTS = {
  added: "no earlier build had this step",
  removed: "the step was removed",
  moved: "no earlier build had this step at this place",
} as const;

/** Where a step that was moved stood. */
function placeText({ from }: { readonly from?: string }): string {
  return from === undefined ? "" : `: it was [${from}]`;
}

const RECORD_TEXTS: Readonly<Record<Extract<MissCause, { kind: "record" }>["gone"], string>> = {
  pruned: "its result was pruned",
  damaged: "its result could not be read any more",
  crash: "its result may have been lost when the machine went down",
  missing: "its result is not in the cache",
};

function reasonText(reason: MissCause | undefined): string {
  return reason === undefined ? ", made from the same" : `, made from the same (it ran again: ${causeText(reason)})`;
}

function fileText({ path, change, context }: Extract<MissCause, { kind: "file" }>): string {
  const where = context === undefined ? path : `${path} of context ${context}`;
  const name = path === "." ? `files${context === undefined ? "" : ` of context ${context}`}` : where;
  return `${name} ${differenceText(change)}`;
}

function linkText(file: string | undefined): string {
  return file === undefined ? "a file of its own" : `hard link to ${file}`;
}

function differenceText(change: FileDifference): string {
  switch (change.kind) {
    case "content":
      return "changed (content)";
    case "attributes":
      return "changed (extended attributes)";
    case "added":
    case "deleted":
      return change.kind;
    case "mode":
    case "owner":
    case "type":
      return `changed (${change.kind} ${change.from} -> ${change.to})`;
    case "link":
      return `changed (${linkText(change.from)} -> ${linkText(change.to)})`;
    case "target":
      return `changed (link target ${change.from} -> ${change.to})`;
    case "renamed":
      return `was ${change.from}`;
    case "ignored":
      return `is now left out by the ignore file${change.rule === undefined ? "" : ` (${change.rule})`}`;
    case "unignored":
      return `is no longer left out by the ignore file${change.rule === undefined ? "" : ` (${change.rule})`}`;
    default:
      return unreachable(change);
  }
}

function changeText({ from, to }: { readonly from?: string; readonly to?: string }): string {
  if (from === undefined && to === undefined) return "changed";
  if (from === undefined) return to === "" ? "is new" : `is new: ${to}`;
  if (to === undefined) return from === "" ? "was removed" : `was removed (${from})`;
  return `${from || '""'} -> ${to || '""'}`;
}

function imageText({ reference, from, to }: Extract<MissCause, { kind: "image" }>): string {
  if (!from.startsWith("sha256:")) return `image ${from} -> ${to}`;
  return `image ${reference} moved (${short(from)} -> ${short(to)})`;
}

/** Hex digits of a digest or a commit that are told. */
const SHORT_DIGITS = 12;

function short(text: string): string {
  const [, prefix = "", digits] = /^(sha256:)?([0-9a-f]{40,64})$/.exec(text) ?? [];
  return digits === undefined ? text : prefix + digits.slice(0, SHORT_DIGITS);
}
