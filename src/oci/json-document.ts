import * as v from "valibot";
import { type Digest, describeIssue, EngineError, isDigest } from "../base/index.js";

/** Reads BYTES as a JSON document that SCHEMA describes. Throws `invalid`, naming WHAT and the member that is wrong. */
export function parseDocument<S extends v.GenericSchema>(what: string, schema: S, bytes: Uint8Array): v.InferOutput<S> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new EngineError("invalid", `${what} is no JSON document`, { cause });
  }
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (result.success) return result.output;
  throw new EngineError("invalid", `${what} is malformed: ${describeIssue(result.issues[0])}`);
}

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
