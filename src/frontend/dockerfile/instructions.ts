import type { Arguments } from "./arguments.js";
import { keyValue } from "./arguments.js";
import type { Word } from "./ast.js";
import { trimmed } from "./blanks.js";
import { buildCopy } from "./build-copy.js";
import { buildHealthcheck } from "./build-healthcheck.js";
import { buildRun } from "./build-run.js";
import { atLeastOne, type BuiltInstruction, base, commandLine, flagged, rejected, wordsOf } from "./built.js";
import { checkFlags, type FlagSchema, findFlag } from "./flags.js";
import { quote } from "./quote.js";
import type { CompleteInstruction } from "./raw.js";
import { suggestInAnyCase, withSuggestion } from "./suggest.js";

/** Gives an instruction its type and checks what its own text can get wrong. Never throws. */
export function buildInstruction(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const build = isInstruction(raw.name) ? BUILDERS[raw.name] : undefined;
  if (build) return build(raw, args);
  const meant = suggestInAnyCase(raw.keyword.text, Object.keys(BUILDERS));
  const unknown = withSuggestion(`unknown instruction: ${raw.keyword.text}`, meant);
  return { ok: false, ...unknown, culprit: raw.keyword.range };
}

/** Whether there is an instruction of this name, in capitals. */
export function isInstruction(name: string): boolean {
  return Object.hasOwn(BUILDERS, name);
}

type Builder = (raw: CompleteInstruction, args: Arguments) => BuiltInstruction;

const NO_FLAGS: FlagSchema = {};

const BUILDERS: Readonly<Record<string, Builder>> = {
  ADD: (raw, args) => buildCopy(raw, args, "add"),
  // ARG takes any flag and ignores it; so does STOPSIGNAL.
  ARG: buildArg,
  CMD: (raw, args) => buildCommand(raw, args, "cmd"),
  COPY: (raw, args) => buildCopy(raw, args, "copy"),
  ENTRYPOINT: (raw, args) => buildCommand(raw, args, "entrypoint"),
  ENV: (raw, args) => buildPairs(raw, args, "env"),
  EXPOSE: buildExpose,
  FROM: buildFrom,
  HEALTHCHECK: buildHealthcheck,
  LABEL: (raw, args) => buildPairs(raw, args, "label"),
  MAINTAINER: (raw, args) =>
    withOneWord(raw, args, (name) => flagged(raw, NO_FLAGS, { kind: "maintainer", name, ...base(raw) })),
  ONBUILD: buildOnbuild,
  RUN: buildRun,
  SHELL: buildShell,
  STOPSIGNAL: (raw, args) =>
    withOneWord(raw, args, (signal) => ({ ok: true, instruction: { kind: "stopsignal", signal, ...base(raw) } })),
  USER: (raw, args) => withOneWord(raw, args, (user) => flagged(raw, NO_FLAGS, { kind: "user", user, ...base(raw) })),
  VOLUME: buildVolume,
  WORKDIR: (raw, args) =>
    withOneWord(raw, args, (path) => flagged(raw, NO_FLAGS, { kind: "workdir", path, ...base(raw) })),
};

function withOneWord(
  raw: CompleteInstruction,
  args: Arguments,
  build: (word: Word) => BuiltInstruction,
): BuiltInstruction {
  if (args.form === "text" && args.word.text !== "") return build(args.word);
  return { ok: false, message: `${raw.name} requires exactly one argument`, culprit: raw.keyword.range };
}

function buildArg(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const pairs = wordsOf(args).map(keyValue);
  if (pairs.length === 0) return atLeastOne(raw);
  const blank = pairs.find((pair) => pair.key === "");
  if (blank) return { ok: false, message: "ARG names can not be blank", culprit: blank.range };
  const { keyword, range, original, comments, flags } = raw;
  return { ok: true, instruction: { kind: "arg", args: pairs, keyword, range, original, comments, flags } };
}

function buildPairs(raw: CompleteInstruction, args: Arguments, kind: "env" | "label"): BuiltInstruction {
  const problem = rejected(checkFlags(raw.flags, NO_FLAGS));
  if (problem) return problem;
  if (args.form !== "pairs" || args.pairs.length === 0) return atLeastOne(raw);
  const blank = args.pairs.find((pair) => pair.key === "");
  if (blank) return { ok: false, message: `${raw.name} names can not be blank`, culprit: blank.range };
  const { pairs, legacy } = args;
  const { keyword, range, original, comments, flags } = raw;
  return { ok: true, instruction: { kind, pairs, legacy, keyword, range, original, comments, flags } };
}

function buildCommand(raw: CompleteInstruction, args: Arguments, kind: "cmd" | "entrypoint"): BuiltInstruction {
  return flagged(raw, NO_FLAGS, { kind, command: commandLine(args), ...base(raw) });
}

function buildExpose(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const ports = wordsOf(args);
  return ports.length === 0 ? atLeastOne(raw) : flagged(raw, NO_FLAGS, { kind: "expose", ports, ...base(raw) });
}

const FROM_FLAGS: FlagSchema = { platform: "string" };
const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

function buildFrom(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const words = wordsOf(args);
  const [image, as, name] = words;
  // With Unicode's folding, as Go has it.
  const isNamed = words.length === 3 && /^as$/iu.test(as?.text ?? "");
  if (!image || (words.length !== 1 && !isNamed)) {
    const message = "FROM requires either one or three arguments";
    return { ok: false, message, culprit: (words[1] ?? raw.keyword).range };
  }
  if (name && !STAGE_NAME.test(name.text.toLowerCase())) {
    const message = `invalid name for build stage: ${quote(name.text)}, name can't start with a number or contain symbols`;
    return { ok: false, message, culprit: name.range };
  }
  const platform = findFlag(raw.flags, "platform");
  const { keyword, range, original, comments, flags } = raw;
  return flagged(raw, FROM_FLAGS, {
    kind: "from",
    image,
    platform,
    as,
    name,
    keyword,
    range,
    original,
    comments,
    flags,
  });
}

function buildOnbuild(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  if (args.form !== "trigger") return atLeastOne(raw);
  const problem = rejected(checkFlags(raw.flags, NO_FLAGS));
  if (problem) return problem;
  const { name, keyword } = args.trigger;
  if (name === "ONBUILD") {
    return { ok: false, message: "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", culprit: keyword.range };
  }
  if (name === "MAINTAINER" || name === "FROM") {
    return { ok: false, message: `${name} isn't allowed as an ONBUILD trigger`, culprit: keyword.range };
  }
  const text = raw.line.replace(/^\p{White_Space}*ONBUILD\p{White_Space}*/iu, "");
  const bodies = raw.heredocs.map((heredoc) => `\n${heredoc.raw}${heredoc.name}`);
  return { ok: true, instruction: { kind: "onbuild", trigger: text + bodies.join(""), ...base(raw) } };
}

function buildShell(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const problem = rejected(checkFlags(raw.flags, NO_FLAGS));
  if (problem) return problem;
  if (args.form === "json" && args.values.length > 0) {
    return { ok: true, instruction: { kind: "shell", shell: args.values, ...base(raw) } };
  }
  if (args.form !== "text" || args.word.text === "") return atLeastOne(raw);
  return { ok: false, message: "SHELL requires the arguments to be in JSON form", culprit: args.word.range };
}

function buildVolume(raw: CompleteInstruction, args: Arguments): BuiltInstruction {
  const paths = wordsOf(args).map((word) => ({ ...word, text: trimmed(word.text).text }));
  if (paths.length === 0) return atLeastOne(raw);
  const empty = paths.find((path) => path.text === "");
  if (empty) return { ok: false, message: "VOLUME specified can not be an empty string", culprit: empty.range };
  return flagged(raw, NO_FLAGS, { kind: "volume", paths, ...base(raw) });
}
