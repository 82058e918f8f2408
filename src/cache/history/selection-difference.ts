import type { MissCause } from "../../base/index.js";
import type { Choice } from "./choice.js";
import type { NodeInput, StepNode } from "./node.js";
import type { Parts } from "./parts.js";
import { type ChangedFile, type TreeDifference, treeDifference, withIgnoreRules } from "./tree-difference.js";

/** What a step reads of a directory, in this build and in an earlier one. */
export interface Selection {
  readonly input: NodeInput;
  readonly before: NodeInput;
  /** The directory, and as it was. */
  readonly node: StepNode;
  readonly older: StepNode;
  /** What of the instruction differs: it may count something else of the files than it did, or other ones. */
  readonly changed: readonly string[];
  /** What it chose, and what it chooses, where that is known. */
  readonly choices?: readonly [Choice, Choice] | undefined;
}

/** Finds the files that differ between selections; each two trees are compared once. */
export class SelectionDifferences {
  readonly #parts: Parts;
  readonly #known = new Map<string, TreeDifference>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  between({ input, before, node: { source }, older, changed, choices }: Selection): {
    readonly list: readonly MissCause[];
    readonly more: number;
  } {
    if (source?.kind !== "context" || input.content === undefined || before.content === undefined) return NOTHING;
    const { changes: all, more } = this.#trees(before, input);
    const isOtherChoice = changed.some((part) => CHOICES.has(part));
    const changes = isOtherChoice ? all.filter((each) => !isOfChoice(each, choices)) : all;
    if (changes.length === 0 && changed.length > 0) return NOTHING;
    const excluded = older.source?.kind === "context" ? older.source.excludes : [];
    const { name: context } = source;
    const told = withIgnoreRules(changes.length > 0 ? changes : [SOME_FILE], excluded, source.excludes);
    const list = told.map(
      ({ path, change }): MissCause => ({ kind: "file", path, change, ...(context === undefined ? {} : { context }) }),
    );
    return { list, more };
  }

  #trees(before: NodeInput, input: NodeInput): TreeDifference {
    const name = [before, input].map(({ content, listing }) => listing ?? content).join(" ");
    const known = this.#known.get(name);
    if (known) return known;
    const [was, is] = [this.#parts.entriesOf(before), this.#parts.entriesOf(input)];
    const areKnown = was.length > 0 && is.length > 0;
    const found = areKnown ? treeDifference(was, is, (digest) => this.#parts.directory(digest)) : NO_CHANGE;
    this.#known.set(name, found);
    return found;
  }
}

/** Whether a file came or went because others are chosen. */
function isOfChoice({ path, change }: ChangedFile, choices: Selection["choices"]): boolean {
  if (change.kind !== "added" && change.kind !== "deleted" && change.kind !== "renamed") return false;
  const paths = change.kind === "renamed" ? [path, change.from] : [path];
  return choices === undefined || !paths.every((each) => choices.every((choice) => choice.selects(each)));
}

/** Parts of an instruction that say which files it reads: that some come or go follows from them. */
const CHOICES: ReadonlySet<string> = new Set(["--exclude", "--parents", "source", "sources"]);

const NOTHING = { list: [], more: 0 };
const NO_CHANGE: TreeDifference = { changes: [], more: 0 };

/** What differs where the entries are not known. */
const SOME_FILE: ChangedFile = { path: ".", change: { kind: "content" } };
