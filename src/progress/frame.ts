import type { ProgressEvent } from "./event.js";
import { formatCount, formatDuration } from "./format.js";
import { paint } from "./style.js";
import { printable, textWidth, truncate } from "./text-width.js";
import type { Step } from "./trace.js";

/** Size of a terminal's window, in characters. */
export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

/** What a frame shows. */
export interface FrameView {
  readonly steps: readonly Step[];
  readonly startedAt: number;
  readonly now: number;
  /** Lines of output shown of a running step. */
  readonly logLines: number;
  readonly color: boolean;
  /** The build ended; `finished`: well. Then every step is shown. */
  readonly ended: "no" | "finished" | "failed";
}

/**
 * The lines of the live view, none wider than the window. While the build runs they leave one row of the window free for
 * the cursor; once it ended all steps are listed, however many.
 */
export function composeFrame(view: FrameView, window: WindowSize): readonly string[] {
  const columns = Math.max(window.columns - 1, 1);
  const blocks =
    view.ended === "no"
      ? blocksThatFit(view, Math.max(window.rows - 2, 0))
      : view.steps.map((step) => finalBlock(step));
  const painter = { columns, now: view.now, color: view.color, steps: view.steps };
  const header = truncate(headerOf(view), columns);
  if (view.ended === "no" && window.rows < 2) return [];
  return [header, ...blocks.flatMap((block) => blockLines(block, painter))];
}

/** A step, and which of its details are shown below it. */
interface Block {
  readonly step: Step;
  readonly showsMiss: boolean;
  readonly statuses: readonly Status[];
  readonly logs: readonly string[];
}

type Status = Extract<ProgressEvent, { type: "status" }>;

interface Painter {
  readonly columns: number;
  readonly now: number;
  readonly color: boolean;
  readonly steps: readonly Step[];
}

/** Rows kept for steps that ended before output of running ones takes the rest. */
const MIN_ENDED_ROWS = 3;
/** Transfers shown of one step. */
const MAX_STATUSES = 8;
/** A narrower line has no room for a time. */
const MIN_COLUMNS_FOR_TIME = 20;
/** Columns a name keeps before the count beside it is dropped. */
const MIN_NAME_COLUMNS = 12;

function headerOf({ steps, startedAt, now, ended }: FrameView): string {
  const done = steps.filter((step) => step.endedAt !== undefined).length;
  const suffix = ended === "finished" ? " FINISHED" : "";
  return `[+] Building ${formatDuration(now - startedAt)} (${done}/${steps.length})${suffix}`;
}

/** Shares ROWS out: running steps, why they run, their transfers, a few ended steps, output of the running ones, then more ended steps. */
function blocksThatFit({ steps, logLines }: FrameView, rows: number): readonly Block[] {
  const running = steps.filter((step) => step.endedAt === undefined).slice(0, rows);
  const ended = steps.filter((step) => step.endedAt !== undefined);
  let left = rows - running.length;
  const reserved = Math.min(ended.length, MIN_ENDED_ROWS, left);
  left -= reserved;
  const missed = new Set(running.filter(({ miss }) => miss !== undefined).slice(0, left));
  left -= missed.size;
  const statuses = new Map<Step, readonly Status[]>();
  for (const step of running) {
    const active = [...step.statuses.values()].filter((status) => !status.done);
    const shown = last(active, Math.min(MAX_STATUSES, left));
    statuses.set(step, shown);
    left -= shown.length;
  }
  const logs = new Map<Step, readonly string[]>();
  const talking = running
    .map((step) => ({ step, lines: lastOutput(step, logLines) }))
    .filter(({ lines }) => lines.length > 0);
  talking.forEach(({ step, lines }, i) => {
    const shown = last(lines, Math.floor(left / (talking.length - i)));
    logs.set(step, shown);
    left -= shown.length;
  });
  const shownEnded = new Set(last(byEnd(ended), reserved + left));
  return steps
    .filter((step) => shownEnded.has(step) || running.includes(step))
    .map((step) => ({
      step,
      showsMiss: missed.has(step),
      statuses: statuses.get(step) ?? [],
      logs: logs.get(step) ?? [],
    }));
}

function byEnd(ended: readonly Step[]): readonly Step[] {
  return [...ended].sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0));
}

function last<T>(list: readonly T[], count: number): readonly T[] {
  return count > 0 ? list.slice(-count) : [];
}

function lastOutput(step: Step, count: number): readonly string[] {
  const kept = step.tail.at(-1)?.overwritten && step.partial().length > 0 ? step.tail.slice(0, -1) : step.tail;
  const lines = [...kept.map(({ text }) => text), ...step.partial()].map(printable);
  return last(
    lines.filter((line) => line.trim() !== ""),
    count,
  );
}

/** What follows from another step is not told again. */
function finalBlock(step: Step): Block {
  const statuses = [...step.statuses.values()].filter(({ unit }) => unit === "none");
  return { step, showsMiss: step.miss?.isNews ?? false, statuses, logs: [] };
}

function blockLines({ step, showsMiss, statuses, logs }: Block, painter: Painter): readonly string[] {
  const { columns, color, steps } = painter;
  const why = showsMiss ? step.miss?.text((number) => placeOf(steps[number - 1])) : undefined;
  const miss = why === undefined ? [] : [` => => not cached: ${printable(why)}`];
  return [
    stepLine(step, painter),
    ...miss.map((line) => paint("dim", truncate(line, columns), color)),
    ...statuses.map((status) => statusLine(status, painter)),
    ...logs.map((line) => paint("dim", truncate(` => => # ${line}`, columns), color)),
  ];
}

/** What a step is called in a few words: `[build 2/5]`. No numbers are shown here. */
function placeOf(step: Step | undefined): string {
  const { name = "another step" } = step?.info ?? {};
  return /^\[[^\]]+\]/.exec(name)?.[0].replace(/\s+/g, " ") ?? name;
}

function stepLine(step: Step, { columns, now, color }: Painter): string {
  const { state, startedAt, endedAt = now } = step;
  const name = printable(step.info.name);
  const line = (prefix: string) =>
    aligned(` => ${prefix}${name}`, "", ` ${formatDuration(endedAt - startedAt)}`, columns);
  switch (state.kind) {
    case "running":
      return line("");
    case "done":
      return paint("blue", line(""), color);
    case "cached":
      return paint("blue", line("CACHED "), color);
    case "canceled":
      return paint("yellow", line("CANCELED "), color);
    case "error":
      return paint("red", line("ERROR "), color);
  }
}

function statusLine(status: Status, { columns, now, color }: Painter): string {
  const time = ` ${formatDuration((status.done ? status.at : now) - status.startedAt)}`;
  const line = aligned(` => => ${printable(status.id)}`, formatCount(status), time, columns);
  return status.done ? paint("blue", line, color) : line;
}

/** LEFT, cut where needed, MIDDLE after it if there is room, and RIGHT at the end of the line. */
function aligned(left: string, middle: string, right: string, columns: number): string {
  if (columns < MIN_COLUMNS_FOR_TIME) return truncate(left, columns);
  const room = columns - textWidth(right);
  const middleWidth = middle === "" ? 0 : textWidth(middle) + 1;
  const showMiddle = middleWidth > 0 && room - middleWidth >= MIN_NAME_COLUMNS;
  const text = showMiddle ? `${truncate(left, room - middleWidth)} ${middle}` : truncate(left, room);
  return `${text}${" ".repeat(Math.max(room - textWidth(text), 0))}${right}`;
}
