import { unreachable } from "../base/index.js";
import type { Warning } from "./event.js";
import { briefExcerpt, sourceExcerpt } from "./excerpt.js";
import { formatBytes } from "./format.js";
import type { BuiltImage, FurtherMistake, Place, RendererOptions, Summary } from "./renderer.js";
import { paint } from "./style.js";
import { printable } from "./text-width.js";
import type { StampedLine, Step, Trace } from "./trace.js";

/** The text after the last step: what was built or why not, and the warnings. Ends in a newline unless it is empty. */
export function endingText(trace: Trace, summary: Summary, options: RendererOptions): string {
  switch (summary.kind) {
    case "built":
      return closing(summary.image, summary.places) + warningsBlock(trace.warnings, options);
    case "failed":
      return failedSteps(trace) + warningsBlock(trace.warnings, options) + failureText(summary, options);
    case "canceled":
      return `ERROR: ${summary.message}\n`;
    case "silent":
      return "";
    default:
      return unreachable(summary);
  }
}

/** The lines of the Dockerfile around a mistake, `ERROR: …`, what is known of its causes, and the file's other mistakes. */
export function failureText(summary: Extract<Summary, { kind: "failed" }>, options: RendererOptions): string {
  const { message, hint, source, causes = [], further = [], omitted = 0 } = summary;
  const excerpt = source ? sourceExcerpt(source) : "";
  const error = paint("red", `ERROR: ${message}`, options.color);
  const reasons = causes.map((cause) => `  caused by: ${cause}\n`).join("");
  return `${excerpt}${error}\n${reasons}${hint ? `${hint}\n` : ""}${furtherText(further, omitted, options)}`;
}

/** How many mistakes are told after the first one of a file. */
const MAX_FURTHER_MISTAKES = 9;

/** None of these lines begins with `ERROR`: scripts take the last that does for the reason. */
function furtherText(mistakes: readonly FurtherMistake[], omitted: number, options: RendererOptions): string {
  const told = mistakes.slice(0, MAX_FURTHER_MISTAKES).map(({ message, hint, source }) => {
    const also = paint("red", `also: ${message}`, options.color);
    return `\n${briefExcerpt(source)}${also}\n${hint ? `${hint}\n` : ""}`;
  });
  const left = mistakes.length - told.length + omitted;
  return `${told.join("")}${left > 0 ? `\nalso: ${left} more ${left === 1 ? "mistake" : "mistakes"}\n` : ""}`;
}

/** The last output of each step that failed. */
export function failedSteps(trace: Trace): string {
  return trace.steps
    .filter((step) => step.state.kind === "error")
    .map(failedStep)
    .join("");
}

function failedStep(step: Step): string {
  const tail = lastOf(step.tail).map(({ stamp, text }) => `${stamp} ${text}\n`);
  return `------\n > ${printable(step.info.name)}:\n${tail.join("")}------\n`;
}

/** How much of a failed step's last lines is shown, in UTF-16 units. */
const MAX_TAIL_LENGTH = 16 * 1024;

/** The second unit of a character whose first one was cut off. */
const LATTER_HALF = /^[\udc00-\udfff]/;

/** The last of LINES, as far as they may be shown; of one that is too long, its end. */
function lastOf(lines: readonly StampedLine[]): readonly StampedLine[] {
  const shown: StampedLine[] = [];
  let room = MAX_TAIL_LENGTH;
  for (const line of lines.toReversed()) {
    if (line.text.length > room) {
      if (room > 0) shown.push({ ...line, text: `…${line.text.slice(-room).replace(LATTER_HALF, "")}` });
      break;
    }
    shown.push(line);
    room -= line.text.length;
  }
  return shown.reverse();
}

function warningsBlock(warnings: readonly Warning[], options: RendererOptions): string {
  if (warnings.length === 0) return "";
  const count = warnings.length === 1 ? "1 warning found" : `${warnings.length} warnings found`;
  const heading = paint("yellow", ` ${count}${options.debug ? "" : " (use --debug to expand)"}:`, options.color);
  return `\n${heading}\n${warnings.map((warning) => warningText(warning, options.debug)).join("")}`;
}

function warningText(warning: Warning, debug: boolean | undefined): string {
  const line = ` - ${warningSentence(warning)}\n`;
  if (!debug) return line;
  const { description, url, file, startLine = 0, endLine = startLine, culprit, text } = warning;
  const isPlaced = file !== undefined && text !== undefined;
  const place = isPlaced ? sourceExcerpt({ file, text, startLine, endLine, culprit }) : "";
  return `${line}${description ? `${description}\n` : ""}${url ? `More info: ${url}\n` : ""}${place}\n`;
}

/** A warning as one sentence: `Rule: message (line 3)`. */
export function warningSentence({ rule, message, startLine }: Warning): string {
  return `${rule ? `${rule}: ` : ""}${message}${startLine ? ` (line ${startLine})` : ""}`;
}

function closing(image: BuiltImage | undefined, places: readonly Place[]): string {
  const lines: string[] = [];
  if (image) {
    const size = image.sizeBytes === undefined ? "" : `  ${formatBytes(image.sizeBytes)}`;
    const identity = image.digest ?? image.imageId ?? "";
    if (image.names.length > 0) lines.push(`Built ${image.names.join(", ")}`, `  ${identity}${size}`);
    else if (identity) lines.push(`Built ${identity}${size}`);
  }
  lines.push(...places.map(placeLine));
  return lines.length === 0 ? "" : `\n${lines.join("\n")}\n`;
}

function placeLine(place: Place): string {
  switch (place.kind) {
    case "store":
      return `  run it: ashlar run ${place.name}`;
    case "loaded":
      return place.name === undefined
        ? `  loaded into ${place.program}`
        : `  loaded into ${place.program}; run it: ${place.program} run --rm ${place.name}`;
    case "pushed":
      return `  pushed ${place.name}${place.digest === undefined ? "" : `@${place.digest}`}`;
    case "written": {
      const size = place.sizeBytes === undefined ? "" : ` (${formatBytes(place.sizeBytes)})`;
      const what = place.type === "local" ? "files" : `${place.type} archive`;
      const next = place.type === "docker" ? `; load it: docker load -i ${place.dest}` : "";
      return `  wrote ${what} to ${place.dest}${size}${next}`;
    }
    default:
      return unreachable(place);
  }
}
