import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import { type BuildResult, createEngine, type Engine, EngineError } from "../../src/engine/index.js";
import { type Edit, edited, FIRST_FILES, history, stages } from "./cache-edits.js";
import { dockerfileOf, entriesOf, identityIn, modelOf, type Node, type State, type Tree } from "./cache-model.js";
import { BASE_LAYOUT, World } from "./world.js";

/**
 * Builds random Dockerfiles over random histories of edits, with a cache and without: both give the same files and the same config, which
 * are those of a model, and nothing runs twice that is made of the same.
 */
export async function cacheHistories(count: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(stages, history, async (stages, history) => {
      await using player = await Player.open();
      await player.play({ files: FIRST_FILES, stages, version: "0", moved: false }, history);
    }),
    { numRuns: count, endOnFailure: true },
  );
}

/** What a build gave, or the code of its failure. */
type Given =
  | { readonly tree: Tree; readonly config: unknown; readonly result: BuildResult }
  | { readonly failure: string };

class Player implements AsyncDisposable {
  readonly #world: World;
  readonly #cached: Engine;
  readonly #uncached: Engine;
  /** What steps that ran were made of. */
  readonly #made = new Set<string>();

  private constructor(world: World, cached: Engine, uncached: Engine) {
    this.#world = world;
    this.#cached = cached;
    this.#uncached = uncached;
  }

  static async open(): Promise<Player> {
    const world = new World();
    const open = (name: string) => createEngine({ root: world.path(name), env: process.env });
    return new Player(world, await open("cached"), await open("uncached"));
  }

  async play(first: State, history: readonly (readonly Edit[])[]): Promise<void> {
    const states = [first];
    await this.#judge(first);
    for (const edits of history) {
      let state = states.at(-1) ?? first;
      for (const edit of edits) {
        state = edit.edit === "back" ? (states.at(-1 - edit.builds) ?? first) : edited(state, edit);
        if (edit.edit === "touch") this.#touch();
      }
      states.push(state);
      await this.#judge(state);
    }
  }

  async #judge(state: State): Promise<void> {
    this.#write(state);
    const cached = await this.#build(this.#cached, state, false);
    const uncached = await this.#build(this.#uncached, state, true);
    const model = modelOf(state);
    if ("failure" in cached || "failure" in uncached || model === undefined) {
      expect([cached, uncached, model]).toEqual([cached, cached, undefined]);
      return;
    }
    expect(entriesOf(cached.tree)).toEqual(entriesOf(uncached.tree));
    expect(cached.config).toEqual(uncached.config);
    expect(entriesOf(cached.tree)).toEqual(entriesOf(model.tree));
    const ran = cached.result.steps.filter((step) => !step.cached).flatMap(({ name }) => identityIn(model, name) ?? []);
    for (const identity of ran) expect(this.#made, `it ran again:\n${identity}`).not.toContain(identity);
    for (const identity of ran) this.#made.add(identity);
  }

  #directory(state: State): string {
    return this.#world.path(state.moved ? "there" : "here");
  }

  /** Brings the context to what it is to be; files that stay keep their times, and those that change keep them, too. */
  #write(state: State): void {
    const directory = this.#directory(state);
    fs.mkdirSync(directory, { recursive: true });
    const there = treeAt(directory);
    for (const [name, node] of [...there].reverse()) {
      if (state.files.get(name)?.type !== node.type || node.type === "link")
        fs.rmSync(path.join(directory, name), { recursive: true, force: true });
    }
    for (const [name, node] of state.files) {
      const file = path.join(directory, name);
      if (node.type === "link") fs.symlinkSync(node.target, file);
      if (node.type === "directory") fs.mkdirSync(file, { recursive: true });
      if (node.type === "file" && there.get(name)?.type !== "file") fs.writeFileSync(file, node.text);
      if (node.type === "file" && fs.readFileSync(file, "utf8") !== node.text) {
        const { atime, mtime } = fs.statSync(file);
        fs.writeFileSync(file, node.text);
        fs.utimesSync(file, atime, mtime);
      }
      if (node.type !== "link") fs.chmodSync(file, node.mode);
    }
  }

  #touch(): void {
    for (const name of ["here", "there"]) {
      const directory = this.#world.path(name);
      if (!fs.existsSync(directory)) continue;
      for (const each of treeAt(directory).keys()) fs.lutimesSync(path.join(directory, each), 1, 1_000_000_000);
    }
  }

  async #build(engine: Engine, state: State, noCache: boolean): Promise<Given> {
    const given = this.#world.path("given");
    fs.rmSync(given, { recursive: true, force: true });
    fs.mkdirSync(path.join(given, "files"), { recursive: true });
    const [archive, layout] = [path.join(given, "files.tar"), path.join(given, "layout")];
    try {
      const result = await engine.build({
        context: this.#directory(state),
        dockerfileText: dockerfileOf(state),
        buildArgs: { V: state.version },
        buildContexts: { base: `oci-layout://${BASE_LAYOUT}:latest` },
        noCache,
        outputs: [
          { type: "tar", dest: archive },
          { type: "oci", dest: layout, attrs: { tar: "false", compression: "uncompressed" } },
        ],
      });
      execFileSync("tar", ["-xpf", archive, "-C", path.join(given, "files"), "--same-owner", "--warning=none", "w"]);
      return { tree: treeAt(path.join(given, "files/w")), config: configAt(layout), result };
    } catch (error) {
      if (error instanceof EngineError) return { failure: error.code };
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cached[Symbol.asyncDispose]();
    await this.#uncached[Symbol.asyncDispose]();
    await this.#world[Symbol.asyncDispose]();
  }
}

function treeAt(root: string): Tree {
  const tree = new Map<string, Node>();
  const walk = (directory: string): void => {
    for (const name of fs.readdirSync(path.join(root, directory)).sort()) {
      const inner = path.join(directory, name);
      const file = path.join(root, inner);
      const { mode, uid } = fs.lstatSync(file);
      const permissions = mode & 0o7777;
      const type = fs.lstatSync(file);
      if (type.isSymbolicLink()) tree.set(inner, { type: "link", target: fs.readlinkSync(file), uid });
      else if (type.isDirectory()) {
        tree.set(inner, { type: "directory", mode: permissions, uid });
        walk(inner);
      } else tree.set(inner, { type: "file", mode: permissions, text: fs.readFileSync(file, "utf8"), uid });
    }
  };
  walk("");
  return tree;
}

/** The config of the image in an OCI layout, less what tells time: layers hold the times of files. */
function configAt(layout: string): unknown {
  const blob = (digest: string) =>
    JSON.parse(fs.readFileSync(path.join(layout, "blobs", ...digest.split(":")), "utf8"));
  const [{ digest }] = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8")).manifests;
  const { created: _, history, rootfs, ...config } = blob(blob(digest).config.digest);
  const timeless = history.map(({ created: _, ...entry }: { readonly created?: string }) => entry);
  return { ...config, history: timeless, layers: rootfs.diff_ids.length };
}
