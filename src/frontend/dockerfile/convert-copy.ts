import {
  type FileStep,
  fileState,
  mergeStates,
  type OpMetadata,
  type Owner,
  scratch,
  sourceState,
} from "../../llb/index.js";
import type { CopyInstruction, Heredoc } from "./ast.js";
import { copyMode, type Permissions } from "./copy-mode.js";
import { isLocal, refuseChecksum, refuseDownload } from "./copy-sources.js";
import { findFlag, valueRange } from "./flags.js";
import { type GitSource, gitSourceOp } from "./git-source.js";
import { httpSource } from "./http-source.js";
import { inlineDocument } from "./inline-document.js";
import { originFiles } from "./origins.js";
import { parseOwner } from "./owner.js";
import { destination, rooted } from "./paths.js";
import { sourceRange } from "./place.js";
import { copyAction } from "./plain-copy.js";
import type { SourceFiles } from "./source-states.js";
import {
  addHistory,
  expanded,
  expandedHeredoc,
  type StageBuild,
  type StepScope,
  stepMetadata,
  stepText,
  within,
} from "./stage-build.js";

/** COPY and ADD: one file op with an action for each source. */
export function convertCopy(build: StageBuild, step: StepScope<CopyInstruction>): void {
  const copy = expandedCopy(build, step);
  const shown = { trigger: step.trigger, variables: build.variables };
  const text = stepText(build, step.instruction);
  const name = build.names.next(text, shown);
  const files = sourceFiles(build, step);
  const metadata = stepMetadata(build, step, name, true);
  const download = { name, location: sourceRange(build.scope.request.dockerfile.name, step.instruction.range) };
  const atChecksum = <T>(work: () => T) => withinFlag(build, step.instruction, "checksum", work);
  const steps = [
    ...copy.sources.map((source, index) =>
      within(build, step.instruction, step.instruction.sources[index]?.range, () =>
        sourceStep(copy, source, { files, download, atChecksum }),
      ),
    ),
    ...copy.heredocs.map((heredoc) => heredocStep(copy, heredoc)),
  ];
  if (step.instruction.link && copy.chmod === "") {
    const linked = stepMetadata(build, step, build.names.same(`LINK ${text}`, shown), true);
    build.state = mergeStates([build.state, fileState(scratch, steps, { metadata })], { metadata: linked });
  } else {
    build.state = fileState(build.state, steps, { metadata });
  }
  if (step.sources.length === 0) build.facts.expanded.set(step.instruction, copy.sources.filter(isLocal));
  addHistory(build, historyText(copy), "layer");
}

const HEREDOC_MODE = 0o644;

/** COPY or ADD with its words expanded. */
interface ExpandedCopy {
  readonly instruction: CopyInstruction;
  readonly chown: string;
  readonly chmod: string;
  readonly checksum: string | undefined;
  readonly sources: readonly string[];
  readonly heredocs: readonly { readonly name: string; readonly content: string }[];
  /** As written, for the history. */
  readonly destination: string;
  readonly owner: Owner | undefined;
  readonly common: CopyCommon;
}

/** What all of its actions have. */
interface CopyCommon extends Permissions {
  readonly dest: string;
  readonly excludePatterns: readonly string[] | undefined;
}

interface CopyFrom {
  readonly files: SourceFiles;
  /** How what it downloads is shown. */
  readonly download: OpMetadata;
  /** Gives what is wrong with the checksum its place. */
  readonly atChecksum: <T>(work: () => T) => T;
}

function expandedCopy(build: StageBuild, { instruction }: StepScope<CopyInstruction>): ExpandedCopy {
  const word = (text: string | undefined) => (text ? expanded(build, instruction, text) : "");
  const chown = word(instruction.chown);
  const chmod = word(instruction.chmod);
  const checksum = word(instruction.checksum) || undefined;
  const sources = instruction.sources.map(({ text, range }) => expanded(build, instruction, text, range));
  const { text, range } = instruction.destination;
  const written = expanded(build, instruction, text, range);
  const heredocs = instruction.heredocs.map((heredoc) => heredocFile(build, instruction, heredoc));
  if (checksum !== undefined) withinFlag(build, instruction, "checksum", () => refuseChecksum(sources));
  const { mode, modeStr } = withinFlag(build, instruction, "chmod", () => copyMode(chmod));
  const owner = chown === "" ? undefined : parseOwner(chown);
  const excludePatterns = instruction.excludes.length === 0 ? undefined : instruction.excludes;
  const dest = destination(build.config.config.WorkingDir, written);
  const common = { dest, mode, modeStr, excludePatterns };
  return { instruction, chown, chmod, checksum, sources, heredocs, destination: written, owner, common };
}

/** What WORK gives; what it throws stands at the value of the flag NAME. */
function withinFlag<T>(build: StageBuild, instruction: CopyInstruction, name: string, work: () => T): T {
  const flag = findFlag(instruction.flags, name);
  return within(build, instruction, flag && valueRange(flag), work);
}

function heredocFile(build: StageBuild, instruction: CopyInstruction, { name, content, expand }: Heredoc) {
  return { name, content: expand ? expandedHeredoc(build, instruction, content) : content };
}

function sourceFiles(build: StageBuild, { instruction, sources: [origin] }: StepScope<CopyInstruction>): SourceFiles {
  if (origin === undefined) return build.scope.sources.context;
  const from = JSON.stringify(instruction.from?.value ?? "");
  const here = JSON.stringify(build.stage.label);
  const late = () => `cannot copy from stage ${from}, it needs to be defined before current stage ${here}`;
  const culprit = instruction.from && valueRange(instruction.from);
  return within(build, instruction, culprit, () => originFiles(build, origin, late));
}

function sourceStep(copy: ExpandedCopy, source: string, from: CopyFrom): FileStep {
  const read = refuseDownload(copy.instruction.kind, source);
  if (read.kind === "git") return gitStep(copy, read.git, from.download);
  if (read.kind === "local") return localStep(copy, source, from.files);
  const { op, fileName } = from.atChecksum(() => httpSource(source, copy.checksum));
  const attemptUnpack = copy.instruction.unpack ?? false;
  const action = copyAction({ ...copy.common, src: rooted(fileName), attemptUnpack });
  // BuildKit looks for the command in the wrong place, and finds none.
  const metadata = { ...from.download, command: "" };
  return { from: sourceState(() => op, { metadata }), owner: copy.owner, action };
}

function gitStep(copy: ExpandedCopy, git: GitSource, download: OpMetadata): FileStep {
  const op = gitSourceOp(git, { keepGitDir: copy.instruction.keepGitDir, checksum: copy.checksum });
  const action = copyAction({ ...copy.common, src: "/", dirCopyContents: true });
  return { from: sourceState(() => op, { metadata: download }), owner: copy.owner, action };
}

function heredocStep({ common, owner }: ExpandedCopy, { name, content }: ExpandedCopy["heredocs"][number]): FileStep {
  const path = rooted(name);
  return { from: inlineDocument(path, HEREDOC_MODE, content), owner, action: copyAction({ ...common, src: path }) };
}

function localStep(
  { instruction, common, owner }: ExpandedCopy,
  source: string,
  { state, used }: SourceFiles,
): FileStep {
  used.add(source);
  const place: Selection = instruction.parents ? withParents(source) : { src: rooted(source) };
  const action = copyAction({
    dest: common.dest,
    mode: common.mode,
    modeStr: common.modeStr,
    excludePatterns: common.excludePatterns,
    src: place.src,
    includePatterns: place.includePatterns,
    requiredPaths: place.requiredPaths,
    followSymlink: true,
    dirCopyContents: true,
    attemptUnpack: instruction.unpack ?? instruction.kind === "add",
    allowWildcard: true,
    allowEmptyWildcard: true,
  });
  return { from: state, owner, action };
}

/** What of its source a copy takes. */
type Selection = Pick<Parameters<typeof copyAction>[0], "src" | "includePatterns" | "requiredPaths">;

/** --parents: what is copied is a pattern below the source's root, or below the part before `/./`. */
function withParents(source: string): Selection {
  const pivot = source.indexOf("/./");
  const parent = pivot < 0 ? "/" : source.slice(0, pivot);
  const below = pivot < 0 ? source : source.slice(pivot + "/./".length);
  const pattern = below.startsWith("/") ? below : rooted(below);
  const isLiteral = !hasWildcards(parent) && !hasWildcards(pattern);
  return {
    src: rooted(parent),
    includePatterns: [pattern.replace(/^\//, "")],
    ...(isLiteral ? { requiredPaths: [rooted(`${parent}/${pattern}`)] } : {}),
  };
}

function hasWildcards(path: string): boolean {
  return /[*?[]/.test(path.replace(/\\./gs, ""));
}

function historyText({ instruction, chown, chmod, sources, heredocs, destination: written }: ExpandedCopy): string {
  const words = [
    instruction.kind.toUpperCase(),
    ...(instruction.parents ? ["--parents"] : []),
    ...(chown === "" ? [] : [`--chown=${chown}`]),
    ...(chmod === "" ? [] : [`--chmod=${chmod}`]),
    ...sources,
    ...heredocs.map(({ name }) => `<<${name}`),
    written,
  ];
  return words.join(" ");
}
