import * as v from "valibot";
import { type Digest, describeIssue, EngineError, isDigest } from "../base/index.js";

/** Arrays and objects within each other: no document of ours or of the specifications comes near. */
const DEPTH_MAX = 64;

/** Reads BYTES as a JSON document that SCHEMA describes. Throws `invalid`, naming WHAT and the member that is wrong. */
export function parseDocument<S extends v.GenericSchema>(what: string, schema: S, bytes: Uint8Array): v.InferOutput<S> {
  return checkDocument(what, schema, parseJson(what, bytes));
}

/** Reads BYTES as JSON. Throws `invalid`, naming WHAT, also for what is nested beyond all measure. */
export function parseJson(what: string, bytes: Uint8Array): unknown {
  // What is nested a million times takes a parser, and whoever looks at what it gives, a thousand times as long as it took to write.
  if (isDeep(bytes)) throw new EngineError("invalid", `${what} is nested deeper than ${DEPTH_MAX} times`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new EngineError("invalid", `${what} is no JSON document`, { cause });
  }
}

/** JSON as what SCHEMA describes. Throws `invalid`, naming WHAT and the member that is wrong. */
export function checkDocument<S extends v.GenericSchema>(what: string, schema: S, json: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (result.success) return result.output;
  throw new EngineError("invalid", `${what} is malformed: ${describeIssue(result.issues[0])}`);
}

/** Whether JSON text is nested too deeply, or would be if it were JSON. */
function isDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let isText = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) isText = !isText;
    else if (isText) {
      if (byte === BACKSLASH) i++;
    } else if (byte === OPENING_BRACKET || byte === OPENING_BRACE) {
      if (++depth > DEPTH_MAX) return true;
    } else if (byte === CLOSING_BRACKET || byte === CLOSING_BRACE) depth--;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** A digest string. */
export const digestSchema = v.custom<Digest>(
  (value) => typeof value === "string" && isDigest(value),
  "expected sha256:<64 hex digits>",
);

/** An object of strings, whatever its keys are. */
export const stringsSchema = v.custom<Record<string, string>>(
  (value) => isPlainObject(value) && Object.values(value).every((member) => typeof member === "string"),
  "expected an object of strings",
);

/** A set as Go writes it: `{"80/tcp": {}}`. */
export const setSchema = v.custom<Record<string, Record<string, never>>>(
  (value) => isPlainObject(value) && Object.values(value).every(isPlainObject),
  "expected an object of empty objects",
);

/** A member that may be missing or null, both of which mean nothing to Go. */
export function optionalSchema<S extends v.GenericSchema>(schema: S) {
  return v.nullish(schema);
}

function isPlainObject(value: unknown): value is object {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
