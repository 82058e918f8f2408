import { unreachable } from "../../base/index.js";
import type {
  CommandLine,
  CopyInstruction,
  Directives,
  DockerfileNode,
  HealthcheckInstruction,
  Heredoc,
  Instruction,
  KeyValue,
  Word,
} from "./ast.js";
import type { EscapeCharacter } from "./expand.js";
import { printFlag } from "./flag-words.js";

/** Writes a Dockerfile that parses to the same tree, places aside. */
export function printDockerfile(file: DockerfileNode): string {
  const { escape: escapeCharacter } = file.directives;
  const instructions = file.instructions.map((instruction) => printInstruction(instruction, escapeCharacter));
  // The blank line keeps a comment that looks like a directive from being one.
  return `${printDirectives(file.directives)}\n${instructions.join("")}`;
}

function printDirectives({ syntax, check, escape: escapeCharacter }: Directives): string {
  const lines = [];
  if (syntax) lines.push(`# syntax=${syntax.text}\n`);
  if (check) lines.push(`# check=${check.text}\n`);
  if (escapeCharacter !== "\\") lines.push(`# escape=${escapeCharacter}\n`);
  return lines.join("");
}

/** Comments, the line itself, and the bodies of its heredocs. */
function printInstruction(instruction: Instruction, escapeCharacter: EscapeCharacter): string {
  const comments = instruction.comments.map((comment) => `# ${comment}\n`).join("");
  const flags = instruction.flags.map((flag) => ` ${printFlag(flag, escapeCharacter)}`).join("");
  const { text, heredocs } = printArguments(instruction);
  const parting = text.startsWith("--") && instruction.kind !== "onbuild" ? " --" : "";
  const line = guardEnd(`${instruction.keyword.text}${flags}${parting} ${text}`, escapeCharacter);
  const bodies = heredocs.map((heredoc) => `${heredoc.raw}${heredoc.name}\n`).join("");
  return `${comments}${line}\n${bodies}`;
}

/** A vertical tab behind an escape character keeps it from continuing the line, and is trimmed off. */
function guardEnd(line: string, escapeCharacter: EscapeCharacter): string {
  const end = line.replace(/[\t ]+$/, "");
  return end.endsWith(escapeCharacter) && end.at(-2) !== escapeCharacter ? `${line}\v` : line;
}

interface PrintedArguments {
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
}

function printArguments(instruction: Instruction): PrintedArguments {
  switch (instruction.kind) {
    case "run":
      return { text: printCommand(instruction.command), heredocs: instruction.heredocs };
    case "copy":
    case "add":
      return printCopy(instruction);
    default:
      return { text: printText(instruction), heredocs: [] };
  }
}

function printText(instruction: Exclude<Instruction, { kind: "run" | "copy" | "add" }>): string {
  switch (instruction.kind) {
    case "from": {
      const { image, as, name } = instruction;
      return as && name ? `${image.text} ${as.text} ${name.text}` : image.text;
    }
    case "arg":
      return instruction.args.map(printPair).join(" ");
    case "env":
    case "label": {
      const [first] = instruction.pairs;
      if (instruction.legacy && first) return `${first.key} ${first.value ?? ""}`;
      return instruction.pairs.map(printPair).join(" ");
    }
    case "workdir":
      return instruction.path.text;
    case "user":
      return instruction.user.text;
    case "stopsignal":
      return instruction.signal.text;
    case "maintainer":
      return instruction.name.text;
    case "expose":
      return instruction.ports.map((port) => port.text).join(" ");
    case "volume":
      return printWords(instruction.paths);
    case "cmd":
    case "entrypoint":
      return printCommand(instruction.command);
    case "shell":
      return JSON.stringify(instruction.shell);
    case "healthcheck":
      return printHealthcheck(instruction.check);
    case "onbuild":
      return instruction.trigger;
    default:
      return unreachable(instruction);
  }
}

function printPair({ key, value }: KeyValue): string {
  return value === undefined ? key : `${key}=${value}`;
}

function printCommand(command: CommandLine): string {
  return command.form === "exec" ? JSON.stringify(command.args) : command.text;
}

function printHealthcheck(check: HealthcheckInstruction["check"]): string {
  return check.type === "none" ? "NONE" : `CMD ${printCommand(check.command)}`;
}

/** Sources, heredocs and destination as words; as JSON where words can't say it: the array reads no bodies. */
function printCopy({ sources, heredocs, destination }: CopyInstruction): PrintedArguments {
  const words = [...sources, ...heredocs.map((heredoc) => heredoc.word), destination];
  const hasBodies = heredocs.some((heredoc) => heredoc.raw !== "");
  if (!hasBodies && (heredocs.length > 0 || !areWords(words) || words.some(({ text }) => text.includes("<<")))) {
    return { text: printJson(words), heredocs: [] };
  }
  return { text: words.map((word) => word.text).join(" "), heredocs };
}

function printWords(words: readonly Word[]): string {
  return areWords(words) ? words.map((word) => word.text).join(" ") : printJson(words);
}

/** Whether words parted by blanks are read as these words. */
function areWords(words: readonly Word[]): boolean {
  return !words[0]?.text.startsWith("[") && words.every(({ text }) => text !== "" && !/\p{White_Space}/u.test(text));
}

function printJson(words: readonly Word[]): string {
  return JSON.stringify(words.map((word) => word.text));
}
