/** Those of CDI's fields that hold numbers; everything else that is no list and no object is text (specs-go/config.go). */
const NUMBERS: ReadonlySet<string> = new Set(["major", "minor", "fileMode", "uid", "gid", "timeout", "additionalGids"]);
/** A file of a few kilobytes could describe gigabytes by naming the same part again and again. */
const ALIASES_MAX = 100;

/**
 * What a CDI file in YAML says, as if it had been written in JSON: numbers and truth values where a text belongs are their text, as Go's
 * YAML has it. Throws what the parser complains of.
 */
export async function readCdiYaml(text: string): Promise<unknown> {
  const { parse } = await import("yaml");
  const document: unknown = parse(text, {
    // Octal numbers begin with 0 in the YAML that tools for containers write, but what looks like a time of day is none.
    version: "1.1",
    customTags: (tags) => [
      ...tags.filter((tag) => typeof tag === "string" || !(tag.format === "TIME" || tag.tag.endsWith(":timestamp"))),
      "intOct",
    ],
    maxAliasCount: ALIASES_MAX,
    prettyErrors: true,
    logLevel: "error",
  });
  return asJson(document, "");
}

function asJson(value: unknown, field: string): unknown {
  if (Array.isArray(value)) return value.map((item) => asJson(item, field));
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).filter(([, each]) => each !== null);
    return Object.fromEntries(entries.map(([key, each]) => [key, asJson(each, key)]));
  }
  const isText = !NUMBERS.has(field) && (typeof value === "number" || typeof value === "boolean");
  return isText ? String(value) : value;
}
