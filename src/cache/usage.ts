import { EngineError } from "../base/index.js";

/** Something that takes room in the state directory, as `ashlar du` lists it. */
export interface UsageEntry {
  readonly id: string;
  readonly type: UsageType;
  readonly description: string;
  /** What it takes on disk. What several entries need is counted with one of them. */
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
  /** A running build, or an image that has a name, needs it: prune leaves it alone. */
  readonly inUse: boolean;
  /** Its files belong to an image, too: without it they would still be there. */
  readonly shared: boolean;
  /** It changes with its use. */
  readonly mutable: boolean;
  /** The ids of what it was made on. */
  readonly parents: readonly string[];
}

/** Those of BuildKit, and `image`: what only images in the local store need. */
export type UsageType = (typeof USAGE_TYPES)[number];

const USAGE_TYPES = [
  "regular",
  "image",
  "source.local",
  "source.git.checkout",
  "exec.cachemount",
  "frontend",
  "internal",
] as const;

/** Whether an entry is meant. */
export type UsageFilter = (entry: UsageEntry) => boolean;

/**
 * Conditions that all must hold, in the form of BuildKit's policies: `type==exec.cachemount`, `id~=^3f`, `inuse`, `description!="x"`,
 * separated by commas; `=` is the same as `==`. Throws `invalid` for a malformed one.
 */
export function parseUsageFilter(text: string): UsageFilter {
  const conditions: UsageFilter[] = [];
  const pattern = /\s*([a-z.]+)\s*(?:(==?|!=|~=)\s*("(?:[^"\\]|\\.)*"|[^,"]*))?\s*(,|$)/gy;
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const [, field = "", operator, word = ""] = pattern.exec(text) ?? [];
    if (field === "") throw new EngineError("invalid", `invalid filter ${JSON.stringify(text)}`);
    conditions.push(condition(field, operator, word.startsWith('"') ? unquoted(word) : word.trim()));
  }
  return (entry) => conditions.every((holds) => holds(entry));
}

function unquoted(word: string): string {
  return word.slice(1, -1).replace(/\\(.)/g, "$1");
}

function condition(field: string, operator: string | undefined, value: string): UsageFilter {
  const read = fieldOf(field);
  if (field === "type" && operator !== undefined && operator !== "~=") checkType(value);
  if (operator === undefined || (value === "" && operator === "=")) return (entry) => read(entry) !== undefined;
  switch (operator) {
    case "=":
    case "==":
      return field === "parents" ? hasParents(value) : (entry) => (read(entry) ?? "") === value;
    case "!=":
      return (entry) => (read(entry) ?? "") !== value;
    default: {
      const matcher = expression(value);
      return (entry) => matcher.test(read(entry) ?? "");
    }
  }
}

function checkType(value: string): void {
  if (value === "" || USAGE_TYPES.some((type) => type === value)) return;
  throw new EngineError("invalid", `invalid filter: ${value} is no type of cache entries`, {
    hint: `there are ${USAGE_TYPES.join(", ")}`,
  });
}

/** One of the ids, separated by semicolons, is among the parents. */
function hasParents(value: string): UsageFilter {
  const ids = value.split(";");
  return ({ parents }) => ids.every((id) => parents.includes(id));
}

function expression(source: string): RegExp {
  try {
    return new RegExp(source);
  } catch {
    throw new EngineError("invalid", `invalid regular expression ${JSON.stringify(source)} in a filter`);
  }
}

/** What a filter's field is of an entry: a text, empty for one that only holds; undefined where it does not. */
function fieldOf(field: string): (entry: UsageEntry) => string | undefined {
  const flag = (holds: (entry: UsageEntry) => boolean) => (entry: UsageEntry) => (holds(entry) ? "" : undefined);
  switch (field) {
    case "id":
      return ({ id }) => id;
    case "type":
      return ({ type }) => type;
    case "description":
      return ({ description }) => description || undefined;
    case "parents":
    case "parent":
      return ({ parents }) => (parents.length > 0 ? parents.join(";") : undefined);
    case "inuse":
      return flag(({ inUse }) => inUse);
    case "mutable":
      return flag(({ mutable }) => mutable);
    case "immutable":
      return flag(({ mutable }) => !mutable);
    case "shared":
      return flag(({ shared }) => shared);
    case "private":
      return flag(({ shared }) => !shared);
    default:
      throw new EngineError("invalid", `invalid filter: ${field} is no field of cache entries`, {
        hint: "there are id, type, description, parents, inuse, mutable, immutable, shared, private, until",
      });
  }
}
