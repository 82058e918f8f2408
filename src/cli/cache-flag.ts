import path from "node:path";
import { EngineError } from "../base/index.js";
import type { CacheSpec } from "../engine/index.js";
import type { Ambient } from "./build-request.js";
import { parseCsv } from "./values.js";

/**
 * --cache-to and --cache-from: `type=TYPE,KEY=VALUE…`, or names of places in registries, separated by commas. What a place takes from the
 * environment is added; an empty word is none. Throws `invalid`: whatever is wrong with a cache ends a build alike, here or in the engine.
 */
export function parseCaches(words: readonly string[], ambient: Pick<Ambient, "env" | "cwd">): readonly CacheSpec[] {
  return words.flatMap((word) => {
    if (word === "") return [];
    const fields = parseCsv(word);
    if (fields.every((field) => !field.includes("=")))
      return fields.map((ref) => ({ type: "registry", attrs: { ref } }) as const);
    const spec = parseOne(word, fields, ambient);
    // As with buildx, a command line for GitHub's machines works elsewhere, too.
    return spec.type === "gha" && !isOnGitHub(spec) ? [] : [spec];
  });
}

function isOnGitHub({ attrs = {} }: CacheSpec): boolean {
  return Boolean(attrs.token && (attrs.url || attrs.url_v2));
}

function parseOne(word: string, fields: readonly string[], ambient: Pick<Ambient, "env" | "cwd">): CacheSpec {
  const attrs: Record<string, string> = {};
  for (const field of fields) {
    const equals = field.indexOf("=");
    if (equals < 0)
      throw new EngineError("invalid", `invalid value ${field}: the cache ${JSON.stringify(word)} is key=value pairs`);
    attrs[field.slice(0, equals).toLowerCase()] = field.slice(equals + 1);
  }
  const { type: name = "", ...rest } = attrs;
  if (name === "") throw new EngineError("invalid", `type required for ${JSON.stringify(word)}`);
  const type = name as CacheSpec["type"]; // the engine knows those that there are
  return { type, attrs: { ...surroundingsOf(type, ambient), ...placed(rest, ambient) } };
}

/** Directories are the caller's. */
function placed(attrs: Readonly<Record<string, string>>, { cwd }: Pick<Ambient, "cwd">): Record<string, string> {
  const { src, dest, ...rest } = attrs;
  return {
    ...rest,
    ...(src ? { src: path.resolve(cwd, src) } : {}),
    ...(dest ? { dest: path.resolve(cwd, dest) } : {}),
  };
}

/** What places of TYPE are told by the environment where the flag doesn't say it. */
function surroundingsOf(type: CacheSpec["type"], { env }: Pick<Ambient, "env">): Readonly<Record<string, string>> {
  const names = VARIABLES[type] ?? {};
  return Object.fromEntries(
    Object.entries(names).flatMap(([attribute, variable]) => {
      const value = env[variable];
      return value ? [[attribute, value]] : [];
    }),
  );
}

const VARIABLES: Partial<Record<CacheSpec["type"], Readonly<Record<string, string>>>> = {
  s3: {
    bucket: "AWS_BUCKET",
    region: "AWS_REGION",
    access_key_id: "AWS_ACCESS_KEY_ID",
    secret_access_key: "AWS_SECRET_ACCESS_KEY",
    session_token: "AWS_SESSION_TOKEN",
  },
  gha: { url_v2: "ACTIONS_RESULTS_URL", token: "ACTIONS_RUNTIME_TOKEN" },
};
