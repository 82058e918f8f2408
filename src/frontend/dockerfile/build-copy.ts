import type { Arguments } from "./arguments.js";
import type { Heredoc, Word } from "./ast.js";
import { type BuiltInstruction, rejected, wordsOf } from "./built.js";
import { booleanFlag, checkFlags, type FlagSchema, findFlag } from "./flags.js";
import { parseHeredocWord } from "./heredoc.js";
import type { CompleteInstruction } from "./raw.js";

/** COPY and ADD. */
export function buildCopy(raw: CompleteInstruction, args: Arguments, kind: "copy" | "add"): BuiltInstruction {
  const words = wordsOf(args);
  const destination = words.at(-1);
  if (!destination || words.length < 2) {
    const message = `${raw.name} requires at least two arguments, but only one was provided. Destination could not be determined`;
    return { ok: false, message, culprit: (destination ?? raw.keyword).range };
  }
  const problem = rejected(checkFlags(raw.flags, SCHEMAS[kind]));
  if (problem) return problem;
  if (parseHeredocWord(destination.text)) {
    return { ok: false, message: `${raw.name} cannot accept a heredoc as a destination`, culprit: destination.range };
  }
  const sources: Word[] = [];
  const heredocs: Heredoc[] = [];
  // Of several of one name the last.
  const bodies = new Map(raw.heredocs.map((body) => [body.name, body]));
  for (const word of words.slice(0, -1)) {
    const heredoc = heredocOf(word, bodies);
    if (heredoc) heredocs.push(heredoc);
    else sources.push(word);
  }
  const flag = (name: string) => findFlag(raw.flags, name)?.value;
  return {
    ok: true,
    instruction: {
      kind,
      sources,
      heredocs,
      destination,
      from: findFlag(raw.flags, "from"),
      chown: flag("chown"),
      chmod: flag("chmod"),
      link: booleanFlag(raw.flags, "link"),
      parents: booleanFlag(raw.flags, "parents"),
      excludes: raw.flags.filter(({ name }) => name === "exclude").map(({ value }) => value ?? ""),
      checksum: flag("checksum"),
      keepGitDir: booleanFlag(raw.flags, "keep-git-dir"),
      unpack: booleanFlag(raw.flags, "unpack"),
      keyword: raw.keyword,
      range: raw.range,
      original: raw.original,
      comments: raw.comments,
      flags: raw.flags,
    },
  };
}

const SHARED_FLAGS = { chown: "string", chmod: "string", link: "boolean", exclude: "strings" } as const;

const SCHEMAS: Readonly<Record<"copy" | "add", FlagSchema>> = {
  copy: { ...SHARED_FLAGS, from: "string", parents: "boolean" },
  add: { ...SHARED_FLAGS, "keep-git-dir": "boolean", checksum: "string", unpack: "boolean" },
};

/**
 * The heredoc that WORD stands for. One that no body was read for (in JSON form, or beside a quote that is never closed)
 * is empty.
 */
function heredocOf(word: Word, bodies: ReadonlyMap<string, Heredoc>): Heredoc | undefined {
  const marker = parseHeredocWord(word.text);
  if (!marker) return undefined;
  const body = bodies.get(marker.name);
  return { ...marker, word, content: body?.content ?? "", raw: body?.raw ?? "", range: body?.range ?? word.range };
}
