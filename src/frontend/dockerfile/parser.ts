import type { Diagnostic } from "../frontend.js";
import { mayTakeHeredocs, parseArguments } from "./arguments.js";
import type {
  ArgInstruction,
  DockerfileNode,
  FromInstruction,
  Heredoc,
  Instruction,
  Range,
  StageInstruction,
  StageNode,
} from "./ast.js";
import { trimmed } from "./blanks.js";
import { DiagnosticCollector, type Mistake } from "./diagnostics.js";
import { DirectiveReader } from "./directives.js";
import { findHeredocs, type HeredocMarker, stripTabs } from "./heredoc.js";
import { continuationHint, terminatorHint } from "./hints.js";
import { buildInstruction, isInstruction } from "./instructions.js";
import { INSTRUCTION_TOO_LONG, LINE_TOO_LONG, LineReader, type LogicalLine, withoutLineEnd } from "./lines.js";
import { completeInstruction, cutInstruction, RawText } from "./raw.js";

export interface ParsedDockerfile {
  /** What could be read; complete only where there are no diagnostics. */
  readonly dockerfile: DockerfileNode;
  /** Every error of the file, in order. */
  readonly diagnostics: readonly Diagnostic[];
  /** Whether some of them keep the file from being cut into instructions at all; the others are within one of these. */
  readonly isMalformed: boolean;
}

/** Reads a whole Dockerfile. NAME stands in the locations. Never throws. */
export function parseDockerfile(text: string, name: string): ParsedDockerfile {
  const errors = new DiagnosticCollector(name);
  const reader = new DockerfileReader(text, errors, (line) => `dockerfile parse error on line ${line}: `);
  const file = new FileBuilder(errors);
  for (let item = reader.next(); item; item = reader.next()) file.add(item);
  if (text === "") errors.report({ message: "the Dockerfile cannot be empty" }, LINE_ONE);
  else if (!reader.hasInstructions) errors.report({ message: "file with no instructions" }, LINE_ONE);
  const dockerfile = file.finish(reader);
  return { dockerfile, diagnostics: errors.finish(), isMalformed: reader.isMalformed || !reader.hasInstructions };
}

/** Where the text of an ONBUILD trigger runs. */
export interface TriggerContext {
  /** The file shown in locations. */
  readonly name: string;
  /** What its diagnostics have as their place: that of the FROM that fires it. */
  readonly range: Range;
}

/** What an ONBUILD trigger says, or why it says nothing. */
export type ParsedTrigger =
  | { readonly instruction: StageInstruction; readonly diagnostics: readonly [] }
  | { readonly instruction: undefined; readonly diagnostics: readonly Diagnostic[] };

/** Reads one ONBUILD trigger; places within the instruction are those of the trigger's own text. Never throws. */
export function parseInstructionText(text: string, context: TriggerContext): ParsedTrigger {
  const errors = new DiagnosticCollector(context.name);
  const reader = new DockerfileReader(text, errors, () => "");
  const found: (Instruction | undefined)[] = [];
  for (let item = reader.next(); item && !errors.isFull; item = reader.next()) found.push(item.instruction);
  const [instruction] = found;
  if (errors.isEmpty) {
    if (found.length === 1 && instruction && instruction.kind !== "from") return { instruction, diagnostics: [] };
    errors.report({ message: "onbuild trigger should be a single expression" }, context.range);
  }
  const { start, end } = context.range;
  const location = { file: context.name, startLine: start.line, endLine: end.line };
  const diagnostics = errors.finish().map(({ severity, message }) => ({ severity, message, location }));
  return { instruction: undefined, diagnostics };
}

const LINE_ONE: Range = { start: { line: 1, character: 0 }, end: { line: 1, character: 0 } };

const BYTE_ORDER_MARK = "\ufeff";

/** What one instruction of the file came to; `instruction` is undefined where it has errors. */
interface ReadInstruction {
  readonly name: string;
  readonly range: Range;
  readonly instruction: Instruction | undefined;
}

/** Reads a file instruction by instruction. */
class DockerfileReader {
  readonly directives = new DirectiveReader();
  readonly emptyContinuations: number[] = [];
  hasInstructions = false;
  isMalformed = false;
  readonly #errors: DiagnosticCollector;
  readonly #prefix: (line: number) => string;
  readonly #lines: LineReader;
  #comments: string[] = [];
  #previous: LogicalLine | undefined;

  /** PREFIX stands before what is wrong with a single instruction, by its first line. */
  constructor(text: string, errors: DiagnosticCollector, prefix: (line: number) => string) {
    this.#errors = errors;
    this.#prefix = prefix;
    this.#lines = new LineReader(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text, (line) =>
      this.#malformed({ message: LINE_TOO_LONG }, lineRange(line, line)),
    );
  }

  /** The next instruction, undefined at the end of the file. */
  next(): ReadInstruction | undefined {
    for (let line = this.#lines.take(); line; line = this.#lines.take()) {
      const directive = this.directives.read(line.text, line.number);
      if (directive.isDirective) {
        if (directive.mistake) this.#malformed(directive.mistake, lineRange(line.number, line.number));
      } else if (line.kind === "comment") this.#comment(withoutLineEnd(line.text));
      else if (line.kind === "text") return this.#instruction(this.#lines.join(line, this.directives.escapeCharacter));
    }
    return undefined;
  }

  /** An empty comment parts what stands above it from the instruction below. */
  #comment(line: string): void {
    const { text } = trimmed(line.slice(1));
    if (text === "") this.#comments = [];
    else this.#comments.push(text);
  }

  #instruction(line: LogicalLine): ReadInstruction {
    this.hasInstructions = true;
    const previous = this.#previous;
    this.#previous = line;
    if (line.hasEmptyContinuation) this.emptyContinuations.push(line.endLine);
    const raw = cutInstruction(line, this.directives.escapeCharacter);
    const comments = this.#comments;
    this.#comments = [];
    const joined = lineRange(line.startLine, line.endLine, line);
    if (line.hasLongLine) {
      this.#skipHeredocs(line, raw.name);
      return { name: raw.name, range: joined, instruction: undefined };
    }
    if (line.isTooLong) {
      const message = this.#prefix(line.startLine) + INSTRUCTION_TOO_LONG;
      this.#errors.report({ message, culprit: raw.keyword.range }, joined);
      return { name: raw.name, range: joined, instruction: undefined };
    }
    const parsed = parseArguments(raw);
    if (!parsed.ok) {
      this.#malformed(parsed, joined);
      return { name: raw.name, range: joined, instruction: undefined };
    }
    const heredocs = parsed.takesHeredocs ? this.#heredocs(line, joined) : [];
    const last = heredocs?.at(-1);
    const range = last ? { start: joined.start, end: last.range.end } : joined;
    if (!heredocs) return { name: raw.name, range, instruction: undefined };
    if (this.#errors.isFull && !isInstruction(raw.name)) {
      // It is only counted: to look for the words it was meant to be takes long where there are so many.
      this.#errors.report({ message: "" }, range);
      return { name: raw.name, range, instruction: undefined };
    }
    const complete = completeInstruction(raw, { range, heredocs, comments });
    const built = buildInstruction(complete, parsed.arguments);
    if (built.ok) return { name: raw.name, range, instruction: built.instruction };
    const hint = isInstruction(raw.name) ? undefined : continuationHint(previous, line, raw);
    for (const mistake of [built, ...(built.others ?? [])]) {
      const message = this.#prefix(range.start.line) + mistake.message;
      this.#errors.report({ ...mistake, message, hint: mistake.hint ?? hint }, range);
    }
    return { name: raw.name, range, instruction: undefined };
  }

  /** The bodies of the heredocs that LINE begins; undefined, and a report, where one has no end. */
  #heredocs(line: LogicalLine, joined: Range): readonly Heredoc[] | undefined {
    if (!line.text.includes("<<")) return [];
    const found = findHeredocs(line.text);
    if (!found.ok) {
      this.#malformed({ message: found.error }, joined);
      return undefined;
    }
    const whole = new RawText(line.text, line.source, 0);
    const heredocs: Heredoc[] = [];
    for (const marker of found.markers) {
      const heredoc = this.#heredoc(marker, whole);
      if (!("content" in heredoc)) {
        this.#malformed(heredoc, { start: joined.start, end: { line: this.#lines.line, character: 0 } });
        return undefined;
      }
      heredocs.push(heredoc);
    }
    return heredocs;
  }

  /** Takes the bodies of the heredocs that LINE begins, of an instruction that is not looked at otherwise. */
  #skipHeredocs(line: LogicalLine, name: string): void {
    if (line.isTooLong || !mayTakeHeredocs(name)) return;
    const found = findHeredocs(line.text);
    const whole = new RawText(line.text, line.source, 0);
    for (const marker of found.ok ? found.markers : []) this.#heredoc(marker, whole);
  }

  #malformed(mistake: Mistake, range: Range): void {
    this.isMalformed = true;
    this.#errors.report(mistake, range);
  }

  #heredoc(marker: HeredocMarker, whole: RawText): Heredoc | Mistake {
    const { name, expand, chomp, fileDescriptor, source } = marker;
    const body: string[] = [];
    const start = this.#lines.line + 1;
    const word = { text: source.text, range: whole.range(source.start, source.end) };
    let almost: number | undefined;
    for (let line = this.#lines.take(); line; line = this.#lines.take()) {
      const text = withoutLineEnd(line.text);
      if ((chomp ? text.replace(/^\t+/, "") : text) === name) {
        const raw = body.join("");
        const end = { line: line.number, character: text.length };
        const range = { start: { line: start, character: 0 }, end };
        return { name, expand, chomp, fileDescriptor, raw, content: chomp ? stripTabs(raw) : raw, word, range };
      }
      if (trimmed(text).text === name) almost ??= line.number;
      body.push(line.text);
    }
    return { message: "unterminated heredoc", culprit: word.range, hint: terminatorHint(name, almost) };
  }
}

/** Sorts instructions into stages. */
class FileBuilder {
  readonly #errors: DiagnosticCollector;
  readonly #globalArgs: ArgInstruction[] = [];
  readonly #stages: {
    readonly from: FromInstruction;
    readonly index: number;
    readonly instructions: StageInstruction[];
  }[] = [];
  readonly #instructions: Instruction[] = [];
  #sawFrom = false;
  #sawStray = false;

  constructor(errors: DiagnosticCollector) {
    this.#errors = errors;
  }

  add({ name, range, instruction }: ReadInstruction): void {
    if (name === "FROM") this.#sawFrom = true;
    else if (!this.#sawFrom && instruction && instruction.kind !== "arg") {
      if (!this.#sawStray) {
        const culprit = instruction.keyword.range;
        this.#errors.report({ message: "no build stage in current context", culprit, hint: FROM_FIRST }, range);
      }
      this.#sawStray = true;
    }
    if (!instruction) return;
    this.#instructions.push(instruction);
    if (instruction.kind === "from") {
      this.#stages.push({ from: instruction, index: this.#stages.length, instructions: [] });
    } else if (!this.#sawFrom) {
      if (instruction.kind === "arg") this.#globalArgs.push(instruction);
    } else this.#stages.at(-1)?.instructions.push(instruction);
  }

  finish(reader: DockerfileReader): DockerfileNode {
    const stages: readonly StageNode[] = this.#stages;
    if (stages.length === 0 && this.#errors.isEmpty) {
      this.#errors.report({ message: "dockerfile contains no stages to build" }, LINE_ONE);
    }
    return {
      directives: reader.directives.finish(),
      globalArgs: this.#globalArgs,
      stages,
      instructions: this.#instructions,
      emptyContinuations: reader.emptyContinuations,
    };
  }
}

const FROM_FIRST = "Only ARG may stand before the first FROM.";

/** The lines from START to END; with LINE, up to its last character, or to the lines without one that end it. */
function lineRange(start: number, end: number, line?: LogicalLine): Range {
  const last = line?.source.range(0, line.text.length).end;
  return { start: { line: start, character: 0 }, end: last?.line === end ? last : { line: end, character: 0 } };
}
