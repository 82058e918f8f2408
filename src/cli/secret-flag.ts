import path from "node:path";
import type { SecretSpec } from "../engine/index.js";
import { UsageError } from "./usage-error.js";
import { parseFields } from "./values.js";

/** One --secret: `id=ID[,src=FILE]`, `id=ID,env=NAME`. Without a source a variable named ID is taken, else a file named ID. */
export function parseSecret(text: string, env: Readonly<Record<string, string | undefined>>, cwd: string): SecretSpec {
  const fields = parseFields(text, "secret");
  const unexpected = [...fields.keys()].find((key) => !KEYS.has(key));
  if (unexpected !== undefined) throw new UsageError(`unexpected key '${unexpected}' in --secret '${text}'`);
  const type = fields.get("type");
  if (type !== undefined && type !== "file" && type !== "env")
    throw new UsageError(`unsupported secret type ${JSON.stringify(type)}`);
  const id = fields.get("id") ?? "";
  if (id === "") throw new UsageError(`--secret '${text}' needs an id`);
  const source = fields.get("src") ?? fields.get("source");
  const variable = fields.get("env") ?? (type === "env" ? source : undefined);
  if (variable !== undefined) return { id, source: "value", value: Buffer.from(env[variable] ?? "") };
  const fallback = env[id];
  if (source === undefined && type !== "file" && fallback !== undefined)
    return { id, source: "value", value: Buffer.from(fallback) };
  return { id, source: "file", path: path.resolve(cwd, source ?? id) };
}

const KEYS = new Set(["type", "id", "src", "source", "env"]);
