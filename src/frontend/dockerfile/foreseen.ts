import { EngineError } from "../../base/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import type { Diagnostic } from "../frontend.js";
import type { CopyInstruction, DockerfileNode, ExposeInstruction, Instruction, RunInstruction, Word } from "./ast.js";
import { copyMode } from "./copy-mode.js";
import { refuseChecksum, refuseDownload } from "./copy-sources.js";
import { locate, type Mistake } from "./diagnostics.js";
import { isLiteral } from "./expand.js";
import { findFlag, valueRange } from "./flags.js";
import { resolveMountOptions } from "./mount.js";
import { exposedPorts } from "./ports.js";
import { isSignal } from "./stopsignal.js";

/** Mistakes that are foreseen; a file of many has enough to be told of. */
const MAX_FORESEEN = 1_000;

/**
 * KNOWN, the mistakes that keep a file from being built, and behind the first of them, in the order of the file, what else
 * would be refused whatever its variables hold. By itself that is no reason to refuse the file: the stage it stands in may
 * not be needed.
 */
export function withForeseen(
  [first, ...others]: readonly [Diagnostic, ...Diagnostic[]],
  dockerfile: DockerfileNode,
  file: string,
): readonly [Diagnostic, ...Diagnostic[]] {
  if (first.location?.file !== file) return [first, ...others];
  const told = new Set([first, ...others].map(textWithLine));
  const foreseen = foreseenMistakes(dockerfile, file).filter((mistake) => !told.has(textWithLine(mistake)));
  const last = others.filter(({ omitted }) => omitted !== undefined);
  const listed = [...others.filter(({ omitted }) => omitted === undefined), ...foreseen];
  return [first, ...listed.toSorted((a, b) => lineOf(a) - lineOf(b)), ...last];
}

/** ERROR, which ended the conversion of a file, with what is foreseen beside it where it is a mistake in that file. */
export function foreseeing(error: unknown, dockerfile: DockerfileNode, file: string): unknown {
  if (!(error instanceof DiagnosticError) || error.code !== "invalid") return error;
  const [first, ...others] = error.diagnostics;
  if (first === undefined) return error;
  const { code, hint, cause } = error;
  return new DiagnosticError(withForeseen([first, ...others], dockerfile, file), { code, hint, cause });
}

function textWithLine(diagnostic: Diagnostic): string {
  return `${lineOf(diagnostic)} ${diagnostic.message}`;
}

function lineOf({ location }: Diagnostic): number {
  return location?.startLine ?? 0;
}

function foreseenMistakes(dockerfile: DockerfileNode, file: string): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const instruction of dockerfile.stages.flatMap(({ instructions }) => instructions)) {
    for (const { message, culprit, suggestion } of mistakesIn(instruction)) {
      if (found.length >= MAX_FORESEEN) return found;
      const meant = suggestion === undefined ? {} : { suggestion };
      found.push({ severity: "error", message, ...locate(file, instruction.range, culprit), ...meant });
    }
  }
  return found;
}

function mistakesIn(instruction: Instruction): readonly Mistake[] {
  switch (instruction.kind) {
    case "run":
      return runMistakes(instruction);
    case "copy":
    case "add":
      return copyMistakes(instruction);
    case "expose":
      return exposeMistakes(instruction);
    case "stopsignal": {
      const { text, range } = instruction.signal;
      return isLiteral(text) && !isSignal(text) ? [{ message: `invalid signal: ${text}`, culprit: range }] : [];
    }
    default:
      return [];
  }
}

function runMistakes({ command, keyword, mounts }: RunInstruction): readonly Mistake[] {
  const isEmpty = command.form === "exec" && command.args.length === 0;
  const empty = isEmpty ? [{ message: "arguments are required", culprit: keyword.range }] : [];
  return [
    ...empty,
    ...mounts.flatMap((mount): Mistake[] => {
      if (!mount.options.every(({ value = "" }) => isLiteral(value))) return [];
      const result = resolveMountOptions(mount, (value) => ({ ok: true, value, consulted: [], unset: [] }));
      if (result.ok) return [];
      return [{ message: result.error, culprit: result.culprit ?? mount.flag.range, suggestion: result.suggestion }];
    }),
  ];
}

function copyMistakes(instruction: CopyInstruction): readonly Mistake[] {
  const { chmod = "", checksum, sources, flags, kind } = instruction;
  const flagRange = (name: string) => {
    const flag = findFlag(flags, name);
    return flag && valueRange(flag);
  };
  const checked: Mistake[] = [];
  if (isLiteral(chmod)) checked.push(...thrown(() => copyMode(chmod), flagRange("chmod")));
  if (checksum && sources.every(({ text }) => isLiteral(text))) {
    const texts = sources.map(({ text }) => text);
    checked.push(...thrown(() => refuseChecksum(texts), flagRange("checksum")));
  }
  return [...checked, ...each(sources, (source) => refuseDownload(kind, source))];
}

function exposeMistakes({ ports }: ExposeInstruction): readonly Mistake[] {
  return each(ports, exposedPorts);
}

/** What CHECK throws of the WORDS that mean what they say. */
function each(words: readonly Word[], check: (text: string) => unknown): readonly Mistake[] {
  return words.flatMap(({ text, range }) => (isLiteral(text) ? thrown(() => check(text), range) : []));
}

function thrown(check: () => unknown, culprit: Mistake["culprit"]): readonly Mistake[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof EngineError) return [{ message: error.message, culprit }];
    throw error;
  }
}
