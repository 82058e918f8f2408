import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Definition,
  definitionOf,
  digestOfNode,
  type ExecSpec,
  execState,
  fileState,
  mergeStates,
  type State,
  scratch,
  sourceState,
} from "../../src/llb/index.js";

const options = (name: string) => ({ metadata: { name } });

function image(reference: string): State {
  const op = { kind: "source", identifier: `docker-image://${reference}`, attrs: {} } as const;
  return sourceState(() => op, options(reference));
}

function mkdir(base: State, path: string): State {
  const step = { kind: "mkdir", path, mode: 0o755, makeParents: true, timestamp: -1 } as const;
  return fileState(base, [{ action: step }], options(path));
}

function run(root: State, mounts: ExecSpec["mounts"] = []): State {
  const meta = { args: ["true"], env: [], cwd: "/", user: "" };
  return execState(root, { meta, mounts, network: "sandbox", security: "sandbox" }, options("run"));
}

function names(definition: Definition): string[] {
  return [...definition.metadata.values()].map(({ name }) => name);
}

describe("a definition", () => {
  it("has no root and no nodes for the empty file system", () => {
    expect(definitionOf(scratch)).toEqual({ nodes: new Map(), root: undefined, metadata: new Map() });
  });

  it("lists every vertex behind its inputs, by the digest of its node", () => {
    const base = image("a");
    const definition = definitionOf(mergeStates([mkdir(base, "/x"), mkdir(base, "/y")], options("merge")));
    expect(names(definition)).toEqual(["a", "/x", "/y", "merge"]);
    for (const [digest, node] of definition.nodes) expect(digestOfNode(node)).toBe(digest);
    expect(definition.root?.digest).toBe([...definition.nodes.keys()].at(-1));
  });

  it("holds a vertex once however often it is made", () => {
    const definition = definitionOf(mergeStates([mkdir(image("a"), "/x"), mkdir(image("a"), "/x")], options("merge")));
    expect(definition.nodes.size).toBe(3);
  });

  it("ignores the cache for a vertex that one of its makers wants so", () => {
    const kept = mkdir(scratch, "/x");
    const step = { kind: "mkdir", path: "/x", mode: 0o755, makeParents: true, timestamp: -1 } as const;
    const fresh = fileState(scratch, [{ action: step }], { metadata: { name: "fresh", ignoreCache: true } });
    const { metadata } = definitionOf(mergeStates([kept, fresh], options("merge")));
    expect([...metadata.values()][0]).toEqual({ name: "/x", ignoreCache: true });
  });

  it("is made of chains that no call stack could hold", () => {
    let state = image("a");
    for (let step = 0; step < 20_000; step++) state = mkdir(state, `/${step}`);
    expect(definitionOf(state).nodes.size).toBe(20_001);
  });

  it("does not depend on the order in which independent vertices were made", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 8 }), (paths) => {
        const base = image("a");
        const merged = (order: readonly string[]) => {
          const made = new Map(order.map((path) => [path, mkdir(base, path)]));
          return definitionOf(
            mergeStates(
              paths.map((path) => made.get(path) ?? scratch),
              options("merge"),
            ),
          );
        };
        expect(merged([...paths].reverse())).toEqual(merged(paths));
      }),
    );
  });

  it("asks a source for its op only when it is made", () => {
    const wanted: string[] = [];
    const local = sourceState(
      () => ({ kind: "source", identifier: "local://context", attrs: { paths: wanted.join() } }),
      options("context"),
    );
    const state = mkdir(local, "/x");
    wanted.push("f");
    const [source] = definitionOf(state).nodes.values();
    expect(source?.op).toMatchObject({ attrs: { paths: "f" } });
  });
});

describe("an exec", () => {
  it("mounts its root first, others by destination, secrets and ssh sockets last, and keeps the root alone", () => {
    const secret = { id: "s", uid: 0, gid: 0, mode: 0o400, optional: true };
    const state = run(image("a"), [
      { from: scratch, mount: { type: "ssh", dest: "/a-ssh", readonly: false, ssh: secret } },
      { from: scratch, mount: { type: "secret", dest: "/b-secret", readonly: false, secret } },
      { from: image("b"), mount: { type: "bind", dest: "/z", readonly: true } },
      { from: scratch, mount: { type: "tmpfs", dest: "/c", readonly: false, tmpfs: { sizeBytes: 0 } } },
      { from: image("a"), mount: { type: "bind", dest: "/d", readonly: true } },
    ]);
    const node = [...definitionOf(state).nodes.values()].at(-1);
    const mounts = node?.op.kind === "exec" ? node.op.mounts : [];
    expect(mounts.map(({ dest, input, output }) => [dest, input, output])).toEqual([
      ["/", 0, 0],
      ["/c", -1, -1],
      ["/d", 0, -1],
      ["/z", 1, -1],
      ["/b-secret", -1, -1],
      ["/a-ssh", -1, -1],
    ]);
  });
});

describe("a file op", () => {
  it("chains its actions, and finds names of owners in what it changes", () => {
    const copy = {
      kind: "copy",
      src: "/f",
      dest: "/g",
      followSymlink: false,
      dirCopyContents: false,
      attemptUnpack: false,
      createDestPath: true,
      allowWildcard: false,
      allowEmptyWildcard: false,
      timestamp: -1,
      alwaysReplaceExistingDestPaths: false,
    } as const;
    const steps = [
      { from: image("b"), action: copy },
      { from: image("c"), owner: { user: "app", group: 7 }, action: copy },
    ];
    const [, , , node] = definitionOf(fileState(image("a"), steps, options("copy"))).nodes.values();
    const actions = node?.op.kind === "file" ? node.op.actions : [];
    expect(actions.map(({ input, secondaryInput, output }) => [input, secondaryInput, output])).toEqual([
      [0, 1, -1],
      [3, 2, 0],
    ]);
    expect(actions[1]?.action).toMatchObject({
      owner: { user: { kind: "name", name: "app", input: 0 }, group: { kind: "id", id: 7 } },
    });
    expect(actions[0]?.action).toEqual(copy);
  });
});

describe("a merge", () => {
  it("lays a state that it takes twice twice", () => {
    const layer = mkdir(scratch, "/x");
    const [, merge] = definitionOf(mergeStates([layer, layer], options("merge"))).nodes.values();
    expect(merge?.inputs).toHaveLength(2);
  });

  it("leaves out what is empty, and is needless for what is left alone", () => {
    expect(mergeStates([scratch, scratch], options("merge"))).toBe(scratch);
    const only = image("a");
    expect(mergeStates([scratch, only], options("merge"))).toBe(only);
  });
});
