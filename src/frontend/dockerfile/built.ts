import type { Arguments } from "./arguments.js";
import type { CommandLine, Instruction, Word } from "./ast.js";
import type { Mistake } from "./diagnostics.js";
import { checkFlags, type FlagSchema } from "./flags.js";
import type { CompleteInstruction } from "./raw.js";

/** A finished instruction, or what is wrong with it. */
export type BuiltInstruction = { readonly ok: true; readonly instruction: Instruction } | Rejected;

export interface Rejected extends Mistake {
  readonly ok: false;
  /** What else is wrong with it. */
  readonly others?: readonly Mistake[];
}

/** The refusal that MISTAKES are, the first of which is told first; undefined where there are none. */
export function rejected([first, ...others]: readonly Mistake[]): Rejected | undefined {
  return first && { ok: false, ...first, others };
}

/** What all instructions have. Those that files are full of name these members themselves, which takes far less time. */
export function base(
  raw: CompleteInstruction,
): Pick<Instruction, "keyword" | "range" | "original" | "comments" | "flags"> {
  const { keyword, range, original, comments, flags } = raw;
  return { keyword, range, original, comments, flags };
}

/** INSTRUCTION, unless SCHEMA doesn't allow its flags. */
export function flagged(raw: CompleteInstruction, schema: FlagSchema, instruction: Instruction): BuiltInstruction {
  return rejected(checkFlags(raw.flags, schema)) ?? { ok: true, instruction };
}

export function atLeastOne(raw: CompleteInstruction): Rejected {
  return { ok: false, message: `${raw.name} requires at least one argument`, culprit: raw.keyword.range };
}

/** The exec form of a JSON array, the shell form of everything else. */
export function commandLine(args: Arguments): CommandLine {
  if (args.form === "json") return { form: "exec", args: args.values };
  return { form: "shell", text: args.form === "text" ? args.word.text : "" };
}

/** The words of a list, in whatever form it was written. */
export function wordsOf(args: Arguments): readonly Word[] {
  if (args.form === "json") return args.values.map((text) => ({ text, range: args.range }));
  return args.form === "words" ? args.words : [];
}
