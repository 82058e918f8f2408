import type { Arguments } from "./arguments.js";
import type { HealthcheckInstruction } from "./ast.js";
import { atLeastOne, type BuiltInstruction, base, commandLine, type Rejected, rejected } from "./built.js";
import { parseDuration } from "./duration.js";
import { checkFlags, type FlagSchema, findFlag } from "./flags.js";
import { quote } from "./quote.js";
import type { CompleteInstruction } from "./raw.js";

/** HEALTHCHECK. */
export function buildHealthcheck(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  if (args.form !== "health") return atLeastOne(raw);
  const type = args.type.text.toUpperCase();
  const command = commandLine(args.command);
  const isEmpty = command.form === "exec" ? command.args.length === 0 : command.text === "";
  if (type === "NONE") {
    if (!isEmpty) return { ok: false, message: "HEALTHCHECK NONE takes no arguments", culprit: args.type.range };
    return { ok: true, instruction: { kind: "healthcheck", check: { type: "none" }, ...base(raw) } };
  }
  const problem = rejected(checkFlags(raw.flags, SCHEMA));
  if (problem) return problem;
  if (type !== "CMD") {
    const message = `Unknown type ${quote(type)} in HEALTHCHECK (try CMD)`;
    return { ok: false, message, culprit: args.type.range };
  }
  if (isEmpty) return { ok: false, message: "Missing command after HEALTHCHECK CMD", culprit: args.type.range };
  const timing = readTiming(raw);
  if ("ok" in timing) return timing;
  return { ok: true, instruction: { kind: "healthcheck", check: { type: "cmd", command, ...timing }, ...base(raw) } };
}

const SCHEMA: FlagSchema = {
  interval: "string",
  timeout: "string",
  "start-period": "string",
  "start-interval": "string",
  retries: "string",
};

/** The shortest interval but none, in nanoseconds. */
const MIN_INTERVAL = 1_000_000;

const MAX_RETRIES = 2 ** 31 - 1;

type Timing = Omit<Extract<HealthcheckInstruction["check"], { type: "cmd" }>, "type" | "command">;

function readTiming(raw: CompleteInstruction): Timing | Rejected {
  const intervals: number[] = [];
  for (const name of ["interval", "timeout", "start-period", "start-interval"]) {
    const interval = readInterval(raw, name);
    if (typeof interval !== "number") return interval;
    intervals.push(interval);
  }
  const retries = readRetries(raw);
  if (typeof retries !== "number") return retries;
  const [interval = 0, timeout = 0, startPeriod = 0, startInterval = 0] = intervals;
  return { interval, timeout, startPeriod, startInterval, retries };
}

function readInterval(raw: CompleteInstruction, name: string): number | Rejected {
  const flag = findFlag(raw.flags, name);
  if (!flag?.value) return 0;
  const duration = parseDuration(flag.value);
  if (!duration.ok) return { ok: false, message: duration.error, culprit: flag.range };
  if (duration.nanoseconds === 0 || duration.nanoseconds >= MIN_INTERVAL) return duration.nanoseconds;
  return { ok: false, message: `Interval ${quote(name)} cannot be less than 1ms`, culprit: flag.range };
}

function readRetries(raw: CompleteInstruction): number | Rejected {
  const flag = findFlag(raw.flags, "retries");
  if (!flag?.value) return 0;
  const reject = (message: string): Rejected => ({ ok: false, message, culprit: flag.range });
  if (!/^[+-]?[0-9]+$/.test(flag.value)) {
    return reject(`strconv.ParseInt: parsing ${quote(flag.value)}: invalid syntax`);
  }
  const retries = Number(flag.value);
  if (Math.abs(retries) > MAX_RETRIES) {
    return reject(`strconv.ParseInt: parsing ${quote(flag.value)}: value out of range`);
  }
  return retries < 0 ? reject(`--retries cannot be negative (${retries})`) : retries;
}
