/**
 * The Dockerfile as data: what the parser makes of the text, one type per instruction, nothing expanded.
 * Every node knows where it stands, so that linter, converter and diagnostics speak of the user's own lines.
 */

/** A place in the file: `line` from 1, `character` (UTF-16 units in that line) from 0. */
export interface Position {
  readonly line: number;
  readonly character: number;
}

/** From `start` up to, not including, `end`. */
export interface Range {
  readonly start: Position;
  readonly end: Position;
}

/** A word of the file, as written (quotes, escapes and variables still in it), and where. */
export interface Word {
  readonly text: string;
  readonly range: Range;
}

/** A heredoc of RUN, COPY or ADD. */
export interface Heredoc {
  /** The word that ends it, without quotes. */
  readonly name: string;
  /** The body, each line with its newline, tabs already stripped for `<<-`. */
  readonly content: string;
  /**
   * The body as written: `content` before the tabs of `<<-` are stripped, as a shell or an ONBUILD trigger needs it.
   */
  readonly raw: string;
  /** False where any part of the delimiter was quoted. */
  readonly expand: boolean;
  /** `<<-`. */
  readonly chomp: boolean;
  /** The number before `<<`, if there is one. */
  readonly fileDescriptor: number | undefined;
  /** The word as written in the instruction (`<<-"EOF"`), and where. */
  readonly word: Word;
  /** The lines of the body and of the terminator. */
  readonly range: Range;
}

/** The text of a command in shell form, or its arguments in exec (JSON) form. */
export type CommandLine =
  | { readonly form: "shell"; readonly text: string }
  | { readonly form: "exec"; readonly args: readonly string[] };

/** `--name` or `--name=value`, quotes and escapes processed, variables not. */
export interface Flag {
  readonly name: string;
  readonly value: string | undefined;
  readonly range: Range;
}

/** One `key=value` of ENV, LABEL or ARG, unexpanded. ARG without a value has none. */
export interface KeyValue {
  readonly key: string;
  readonly value: string | undefined;
  readonly range: Range;
}

/** What all instructions have. */
interface Base {
  /** The keyword as written. */
  readonly keyword: Word;
  /** All physical lines of the instruction, heredoc bodies included. */
  readonly range: Range;
  /** The instruction as written, continuation lines joined, comments dropped; without heredoc bodies. */
  readonly original: string;
  /** Comment lines directly above, without `#` and one blank. */
  readonly comments: readonly string[];
  readonly flags: readonly Flag[];
}

export interface FromInstruction extends Base {
  readonly kind: "from";
  readonly image: Word;
  readonly platform: Flag | undefined;
  /** The name after AS, as written. */
  readonly name: Word | undefined;
  /** The word AS, as written. */
  readonly as: Word | undefined;
}

/** What a mount of RUN may be. */
export type RunMountType = "bind" | "cache" | "tmpfs" | "secret" | "ssh";

/** One --mount of RUN: its options as written, unexpanded and in order. */
export interface RunMount {
  /** As far as the text tells; undefined where it holds a variable or names no known type, which expansion settles. */
  readonly type: RunMountType | undefined;
  /** Never expanded: a stage, an image or a named context. */
  readonly from: string | undefined;
  readonly options: readonly MountOption[];
  readonly flag: Flag;
}

/** One field of --mount. */
export interface MountOption {
  /** In lower case. */
  readonly key: string;
  /** Undefined where the field has no `=`. */
  readonly value: string | undefined;
  /** The field as written. */
  readonly field: string;
  /** Where it stands; that of the whole flag where quotes or escapes blur it. */
  readonly range: Range;
}

export interface RunInstruction extends Base {
  readonly kind: "run";
  readonly command: CommandLine;
  readonly heredocs: readonly Heredoc[];
  readonly mounts: readonly RunMount[];
  readonly network: "default" | "none" | "host" | undefined;
  readonly security: "sandbox" | "insecure" | undefined;
  readonly devices: readonly { readonly name: string; readonly required: boolean }[];
}

export interface CopyInstruction extends Base {
  readonly kind: "copy" | "add";
  /** Sources that are not heredocs, in order. */
  readonly sources: readonly Word[];
  readonly heredocs: readonly Heredoc[];
  readonly destination: Word;
  readonly from: Flag | undefined;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean | undefined;
  readonly parents: boolean | undefined;
  readonly excludes: readonly string[];
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly unpack: boolean | undefined;
}

export interface ArgInstruction extends Base {
  readonly kind: "arg";
  readonly args: readonly KeyValue[];
}
export interface EnvInstruction extends Base {
  readonly kind: "env";
  readonly pairs: readonly KeyValue[];
  /** `ENV key value`. */
  readonly legacy: boolean;
}
export interface LabelInstruction extends Base {
  readonly kind: "label";
  readonly pairs: readonly KeyValue[];
  readonly legacy: boolean;
}
export interface WorkdirInstruction extends Base {
  readonly kind: "workdir";
  readonly path: Word;
}
export interface UserInstruction extends Base {
  readonly kind: "user";
  readonly user: Word;
}
export interface ExposeInstruction extends Base {
  readonly kind: "expose";
  readonly ports: readonly Word[];
}
export interface VolumeInstruction extends Base {
  readonly kind: "volume";
  readonly paths: readonly Word[];
}
export interface CommandInstruction extends Base {
  readonly kind: "cmd" | "entrypoint";
  readonly command: CommandLine;
}
export interface ShellInstruction extends Base {
  readonly kind: "shell";
  readonly shell: readonly string[];
}
export interface StopsignalInstruction extends Base {
  readonly kind: "stopsignal";
  readonly signal: Word;
}
export interface HealthcheckInstruction extends Base {
  readonly kind: "healthcheck";
  /** Durations in nanoseconds, as the image config holds them; 0 inherits. */
  readonly check:
    | { readonly type: "none" }
    | {
        readonly type: "cmd";
        readonly command: CommandLine;
        readonly interval: number;
        readonly timeout: number;
        readonly startPeriod: number;
        readonly startInterval: number;
        readonly retries: number;
      };
}
export interface OnbuildInstruction extends Base {
  readonly kind: "onbuild";
  /** The trigger as the image config stores it: raw text with heredoc bodies. */
  readonly trigger: string;
}
export interface MaintainerInstruction extends Base {
  readonly kind: "maintainer";
  readonly name: Word;
}

/** An instruction that may stand in a stage. */
export type StageInstruction =
  | RunInstruction
  | CopyInstruction
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | WorkdirInstruction
  | UserInstruction
  | ExposeInstruction
  | VolumeInstruction
  | CommandInstruction
  | ShellInstruction
  | StopsignalInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | MaintainerInstruction;

export type Instruction = FromInstruction | StageInstruction;

/** One stage: its FROM and what follows. */
export interface StageNode {
  readonly from: FromInstruction;
  readonly instructions: readonly StageInstruction[];
  /** Its place in the file, from 0. */
  readonly index: number;
}

/** The parser directives of the leading comment lines. */
export interface Directives {
  readonly escape: "\\" | "`";
  readonly syntax: Word | undefined;
  readonly check: Word | undefined;
}

/** A whole Dockerfile. */
export interface DockerfileNode {
  readonly directives: Directives;
  /** ARGs before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly StageNode[];
  /** All of them in order, those of no stage included. */
  readonly instructions: readonly Instruction[];
  /** Of each instruction with an empty line among its continued lines: the number of the last continued line. */
  readonly emptyContinuations: readonly number[];
}
