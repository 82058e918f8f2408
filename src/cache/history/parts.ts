import { type Digest, digestOf } from "../../base/index.js";
import type { ContentTree, TreeListing } from "../../snapshot/index.js";
import type { Database } from "../../store/index.js";
import type { NodeInput, NotedVariable, StepNode } from "./node.js";
import type { StageRun } from "./reference.js";

/** The parts of the history: those on disk, and those of the build under way, which are written when it ends. */
export class Parts {
  readonly #database: Database;
  readonly #new = new Map<Digest, Part>();
  readonly #newTrees = new Map<Digest, readonly Digest[]>();
  readonly #loaded = new Map<Digest, unknown>();

  constructor(database: Database) {
    this.#database = database;
  }

  addNode(node: StepNode): Digest {
    const refs = [
      ...node.inputs.map((input) => input.node),
      ...node.inputs.flatMap((input) => this.entriesOf(input)),
      ...(node.variables === undefined ? [] : [node.variables]),
    ];
    return this.#add(JSON.stringify(node), refs);
  }

  addVariables(variables: readonly NotedVariable[]): Digest {
    return this.#add(JSON.stringify(variables), []);
  }

  addStage(stage: StageRun): Digest {
    return this.#add(
      JSON.stringify(stage),
      stage.steps.flatMap(({ node }) => node ?? []),
    );
  }

  /** The directories that an input has been, by what was noted of it; empty where that is not known. */
  entriesOf({ content, listing }: NodeInput): readonly Digest[] {
    const listed = listing === undefined ? [] : this.roots(listing);
    return listed.length > 0 || content === undefined ? listed : this.roots(content);
  }

  /** Notes which entries the contents known by CONTENT are. */
  addTrees(content: Digest, trees: readonly ContentTree[]): void {
    for (const { directories } of trees)
      for (const { digest, text, below } of directories) this.#new.set(digest, { body: text, refs: below });
    this.#newTrees.set(
      content,
      trees.map(({ root }) => root),
    );
  }

  /** The directories that contents are; empty where that is not known. */
  roots(content: Digest): readonly Digest[] {
    const known = this.#newTrees.get(content);
    if (known) return known;
    const row = this.#database.get<{ roots: string }>("SELECT roots FROM history_tree WHERE content = ?", content);
    return row ? (JSON.parse(row.roots) as Digest[]) : [];
  }

  node(digest: Digest): StepNode | undefined {
    return this.#load(digest) as StepNode | undefined;
  }

  stage(digest: Digest): StageRun {
    return (this.#load(digest) ?? { steps: [] }) as StageRun;
  }

  variables(digest: Digest | undefined): readonly NotedVariable[] {
    return ((digest && this.#load(digest)) ?? []) as readonly NotedVariable[];
  }

  directory(digest: Digest): TreeListing | undefined {
    return this.#read(digest) as TreeListing | undefined;
  }

  /** Writes what is new, and says how much that was; to be called in a transaction. */
  write(): { readonly parts: number; readonly length: number } {
    const size = { parts: 0, length: 0 };
    const insert = "INSERT OR IGNORE INTO history_part (digest, body, refs) VALUES (?, ?, ?)";
    for (const [digest, { body, refs }] of this.#new) {
      if (this.#database.run(insert, digest, body, JSON.stringify(refs)).changes === 0) continue;
      size.parts++;
      size.length += body.length;
    }
    const note = "INSERT OR REPLACE INTO history_tree (content, roots) VALUES (?, ?)";
    for (const [content, roots] of this.#newTrees) this.#database.run(note, content, JSON.stringify(roots));
    return size;
  }

  #add(body: string, refs: readonly Digest[]): Digest {
    const digest = digestOf(body);
    this.#new.set(digest, { body, refs });
    return digest;
  }

  #load(digest: Digest): unknown {
    const known = this.#loaded.get(digest);
    if (known !== undefined) return known;
    const read = this.#read(digest);
    if (read !== undefined) this.#loaded.set(digest, read);
    return read;
  }

  #read(digest: Digest): unknown {
    const body =
      this.#new.get(digest)?.body ??
      this.#database.get<{ body: string }>("SELECT body FROM history_part WHERE digest = ?", digest)?.body;
    return body === undefined ? undefined : JSON.parse(body);
  }
}

interface Part {
  readonly body: string;
  readonly refs: readonly Digest[];
}
