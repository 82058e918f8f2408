/**
 * Counts what work costs without a clock: the characters and elements that built-in methods of strings, arrays and regular
 * expressions walk over while WORK runs. Reruns give the same number, so that growth can be asserted on any machine.
 */
export function stepsOf(work: () => void): number {
  let steps = 0;
  const restore = [
    ...BY_RESULT.map(([owner, name]) =>
      wrapped(owner, name, (_, __, result) => {
        steps += 1 + lengthOf(result);
      }),
    ),
    ...BY_SUBJECT.map(([owner, name]) =>
      wrapped(owner, name, (self) => {
        steps += 1 + lengthOf(self);
      }),
    ),
    wrapped(RegExp.prototype, "exec", (self, args, result) => {
      steps += 1 + walked(self as RegExp, String(args[0]), result as RegExpExecArray | null);
    }),
    wrapped(String.prototype, "indexOf", (self, [, from], result) => {
      const start = Number(from ?? 0);
      steps += 1 + ((result as number) < 0 ? Math.max(lengthOf(self) - start, 0) : (result as number) - start);
    }),
  ];
  try {
    work();
  } finally {
    for (const undo of restore) undo();
  }
  return steps;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Owner = Record<string, Method>;

/** Methods that touch as much as they give. */
const BY_RESULT = [
  ...["slice", "charAt", "charCodeAt", "codePointAt", "repeat"].map((name) => [String.prototype, name] as const),
  ...["slice", "push"].map((name) => [Array.prototype, name] as const),
];

/** Methods that may touch all that they are called on. */
const BY_SUBJECT = [
  ...["includes", "replace", "replaceAll", "split", "match", "matchAll", "trim", "toLowerCase", "toUpperCase"].map(
    (name) => [String.prototype, name] as const,
  ),
  ...["map", "filter", "find", "findLast", "findIndex", "some", "every", "includes", "join", "flatMap", "indexOf"].map(
    (name) => [Array.prototype, name] as const,
  ),
];

/** Lets METHOD tell COUNT of each of its calls; returns how to undo that. */
function wrapped(owner: object, name: string, count: (self: unknown, args: unknown[], result: unknown) => void) {
  const methods = owner as Owner;
  const original = methods[name];
  if (!original) throw new Error(`no method ${name}`);
  methods[name] = function (this: unknown, ...args: unknown[]) {
    const from = this instanceof RegExp ? this.lastIndex : 0;
    const result = original.apply(this, args);
    if (this instanceof RegExp) starts.set(this, from);
    count(this, args, result);
    return result;
  };
  return () => {
    methods[name] = original;
  };
}

/** Where the last search of a regular expression began. */
const starts = new WeakMap<RegExp, number>();

/** What a search went over; a sticky one gives up where it begins. */
function walked(pattern: RegExp, text: string, found: RegExpExecArray | null): number {
  const from = pattern.global || pattern.sticky ? (starts.get(pattern) ?? 0) : 0;
  if (found) return found.index - from + found[0].length;
  return pattern.sticky || pattern.source.startsWith("^") ? 0 : Math.max(text.length - from, 0);
}

function lengthOf(value: unknown): number {
  return typeof value === "string" || Array.isArray(value) ? value.length : value instanceof String ? value.length : 0;
}
