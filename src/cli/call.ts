import { unreachable } from "../base/index.js";
import type { BuildRequest, Engine } from "../engine/index.js";
import type { Summary } from "../progress/index.js";
import { answerCheck } from "./check-report.js";
import { answerDescribe } from "./describe-report.js";
import { answerOutline } from "./outline-report.js";
import { answerTargets } from "./targets-report.js";
import { UsageError } from "./usage-error.js";
import { parseBoolean, parseChoice, parseCsv } from "./values.js";

/** `--call`: a question about a Dockerfile, to be answered without building it. */
export interface Call {
  readonly method: (typeof METHODS)[number];
  readonly format: "text" | "json";
  /** The exit code is 0 whatever a check finds, short of mistakes. */
  readonly ignoreStatus: boolean;
}

/** The answer to a call, in the forms that BuildKit's frontend gives it. */
export interface CallAnswer {
  readonly json: object;
  readonly text: string;
  /** Of the form of `json`. */
  readonly version: string;
  /** 1 where a check has found something, 0 otherwise; undefined for what is no check. */
  readonly statusCode?: 0 | 1;
  /** Of a check: what it has found, as data. */
  readonly diagnostics?: readonly object[];
  /** Why the Dockerfile can't be built. */
  readonly failure?: Extract<Summary, { kind: "failed" }>;
}

const METHODS = ["check", "outline", "targets", "subrequests.describe"] as const;
const FORMATS = ["text", "json"] as const;

/** The value of --call: `METHOD[,format=json][,ignorestatus]`; undefined for `build`. Throws UsageError. */
export function parseCall(value: string): Call | undefined {
  let method: string | undefined;
  let format: Call["format"] = "text";
  let ignoreStatus = false;
  for (const field of parseCsv(value)) {
    const [, key, text = ""] = /^([^=]*)=(.*)$/s.exec(field) ?? [];
    if (key === undefined && method === undefined) method = field;
    else if (key === "format") format = parseChoice(text, "format of --call", FORMATS);
    else if (key === "ignorestatus") ignoreStatus = parseBoolean(text, "ignorestatus of --call");
    else throw new UsageError(`invalid field ${JSON.stringify(field)} in --call=${value}`);
  }
  if (method === undefined || method === "build") return undefined;
  // The name that BuildKit has for it.
  const name = method === "lint" ? "check" : method;
  return { method: parseChoice(name, "--call", METHODS), format, ignoreStatus };
}

/** Asks ENGINE; a description needs none. Throws a BuildFailure where only a sound Dockerfile has an answer. */
export async function answerCall(
  { method }: Call,
  request: BuildRequest,
  openEngine: () => Promise<Engine>,
): Promise<CallAnswer> {
  if (method === "subrequests.describe") return answerDescribe();
  await using engine = await openEngine();
  switch (method) {
    case "check":
      return answerCheck(await engine.check(request));
    case "outline":
      return answerOutline(await engine.outline(request));
    case "targets":
      return answerTargets(await engine.targets(request));
    default:
      return unreachable(method);
  }
}

/** ANSWER as CALL wants it on standard output. */
export function callText({ format }: Call, { json, text }: CallAnswer): string {
  return format === "json" ? `${jsonText(json)}\n` : text;
}

/** What the process ends with. */
export function callExitCode({ ignoreStatus }: Call, { statusCode = 0, failure }: CallAnswer): 0 | 1 {
  if (failure) return 1;
  return ignoreStatus ? 0 : statusCode;
}

/** The content of --metadata-file. */
export function callMetadata({
  json,
  text,
  statusCode,
  version,
  diagnostics,
}: CallAnswer): Readonly<Record<string, unknown>> {
  const status = statusCode === undefined ? {} : { "result.statuscode": String(statusCode) };
  return {
    "result.json": json,
    ...status,
    "result.txt": text,
    version,
    ...(diagnostics ? { "ashlar.diagnostics": diagnostics } : {}),
  };
}

function jsonText(json: object): string {
  return JSON.stringify(json, undefined, 2);
}
