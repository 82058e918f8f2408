import { spawnSync } from "node:child_process";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/base/index.js";
import {
  type CopyAction,
  type Definition,
  definitionBytes,
  definitionOf,
  dumpLines,
  type Edge,
  execState,
  fileState,
  mergeStates,
  type Op,
  type OpNode,
  type State,
  scratch,
  sourceState,
  wireGraph,
} from "../../src/llb/index.js";
import { message, nested, text } from "../../src/llb/protobuf.js";
import { opBytes, resultBytes } from "../../src/llb/wire.js";
import { execBytes } from "../../src/llb/wire-exec.js";

const amd64 = { os: "linux", architecture: "amd64" };

function edge(digest: string): Edge {
  return { digest: digest as Digest, index: 0 };
}

function wireDigest(op: Op, inputs: readonly string[] = [], platform: OpNode["platform"] = amd64): Digest {
  return digestOf(opBytes({ op, inputs: [], platform }, inputs.map(edge)));
}

const COPY: CopyAction = {
  kind: "copy",
  src: "/",
  dest: "/",
  followSymlink: true,
  dirCopyContents: true,
  attemptUnpack: false,
  createDestPath: true,
  allowWildcard: true,
  allowEmptyWildcard: true,
  timestamp: -1,
  alwaysReplaceExistingDestPaths: false,
};

/** From the provenance of images that BuildKit built. */
describe("an op has the digest that BuildKit gives it:", () => {
  const PYTHON = "sha256:de26ac856cfa3a78d41f9afc56cbf99148b029f067c24adfc65a4635fc06f5fa";
  const CONTEXT = "sha256:89e2f16e1b3612bab3c8c7f6a58b6e59b72b4453381874fed3c7827ef1b95894";
  const README = "sha256:0dc4de8261b5f57fb8841320b739fcfab7aa37bad994059fa7e656b1a8613b25";

  it("an image", () => {
    const pinned = "sha256:fb93ca595ad82020cc52ff60604cddc1a6d393229ef5ecc8f6ac7c7fb52bacda";
    const identifier = `docker-image://docker.io/library/python:alpine3.14@${pinned}`;
    expect(wireDigest({ kind: "source", identifier, attrs: {} })).toBe(PYTHON);
  });

  it("a copy, which has no platform", () => {
    const action: CopyAction = { ...COPY, src: "/README.md", dest: "/README.md" };
    const op: Op = { kind: "file", actions: [{ input: 0, secondaryInput: 1, output: 0, action }] };
    expect(wireDigest(op, [PYTHON, CONTEXT])).toBe(README);
  });

  it("the result", () => {
    const digest = digestOf(resultBytes(edge(README)));
    expect(digest).toBe("sha256:d177efd10a9c6867868470b75a11251105d3a3ecc44b233623a35f31a6bb6aae");
  });

  it("a process, as a server of 2023 wrote it: the op ahead of the platform", () => {
    const env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
    const exec = execBytes({
      kind: "exec",
      meta: { args: ["/bin/sh", "-c", "chmod 755 /app"], env, cwd: "/", user: "" },
      mounts: [{ type: "bind", input: 0, dest: "/", output: 0, readonly: false }],
      network: "sandbox",
      security: "sandbox",
    });
    const input = message(text(1, "sha256:9c2983bee7ccc9a7a78e68023862d96441c6ad232f234d49167edfeb861e04cc"));
    const platform = message(text(1, "amd64"), text(2, "linux"));
    const op = message(nested(1, input), nested(2, exec), nested(10, platform), nested(11, message()));
    expect(digestOf(op)).toBe("sha256:c0550c726d1950c5e93f6f808aff011ebbf177177b23e7810bb77ecb1806b3be");
  });
});

const PROTO = path.join(import.meta.dirname, "llb.proto");
const hasProtoc = spawnSync("protoc", ["--version"]).status === 0;
if (!hasProtoc) console.log("skipped: protoc is missing (Debian package protobuf-compiler)");

/** BYTES as another decoder reads them. */
function decoded(type: string, bytes: Uint8Array): string {
  const words = [`--decode=llb.${type}`, `--proto_path=${path.dirname(PROTO)}`, PROTO];
  const { status, stdout, stderr } = spawnSync("protoc", words, { input: bytes, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

describe.skipIf(!hasProtoc)("another decoder reads", () => {
  const one = (op: Op, inputs = 0, platform?: OpNode["platform"]) =>
    decoded(
      "Op",
      opBytes(
        { op, inputs: [], platform },
        Array.from({ length: inputs }, (_, at) => edge(`sha256:${at}`)),
      ),
    );

  it("sources of every kind", () => {
    const attrs = { "git.keepgitdir": "true", "git.fullurl": "https://host/x.git" };
    expect(one({ kind: "source", identifier: "git://host/x.git#main:dir", attrs }, 0, amd64)).toMatchInlineSnapshot(`
      "source {
        identifier: "git://host/x.git#main:dir"
        attrs {
          key: "git.fullurl"
          value: "https://host/x.git"
        }
        attrs {
          key: "git.keepgitdir"
          value: "true"
        }
      }
      constraints {
      }
      "
    `);
    expect(
      one({ kind: "source", identifier: "local://context", attrs: { "local.followpaths": '["a"]' } }),
    ).toMatchInlineSnapshot(`
      "source {
        identifier: "local://context"
        attrs {
          key: "local.followpaths"
          value: "[\\"a\\"]"
        }
        attrs {
          key: "local.sharedkeyhint"
          value: "context"
        }
      }
      constraints {
      }
      "
    `);
    expect(
      one({ kind: "source", identifier: `oci-layout:///images/base:1@sha256:${"a".repeat(64)}`, attrs: {} }, 0, {
        os: "linux",
        architecture: "arm",
        variant: "v7",
      }),
    ).toMatchInlineSnapshot(`
      "source {
        identifier: "oci-layout://docker.io/library/layout-77bee69a3116:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        attrs {
          key: "oci.store"
          value: "layout-77bee69a3116"
        }
      }
      platform {
        architecture: "arm"
        os: "linux"
        variant: "v7"
      }
      constraints {
      }
      "
    `);
    expect(
      one({ kind: "source", identifier: "https://host/f", attrs: { "http.filename": "f" } }, 0, amd64),
    ).toMatchInlineSnapshot(`
      "source {
        identifier: "https://host/f"
        attrs {
          key: "http.filename"
          value: "f"
        }
      }
      constraints {
      }
      "
    `);
  });

  it("a process with all it can have", () => {
    const secret = { id: "s", uid: 1, gid: 2, mode: 0o400, optional: true };
    const op: Op = {
      kind: "exec",
      meta: {
        args: ["a", ""],
        env: ["K=v"],
        cwd: "/w",
        user: "me",
        proxyEnv: { HTTP_PROXY: "p", http_proxy: "p", NO_PROXY: "n", no_proxy: "n" },
        extraHosts: [{ host: "h", ip: "10.0.0.1" }],
        hostname: "name",
        ulimits: [{ name: "nofile", soft: -1, hard: 2 ** 40 }],
        cgroupParent: "/c",
        validExitCodes: [0, 300],
      },
      mounts: [
        { type: "bind", input: 0, dest: "/", output: 0, readonly: false },
        { type: "bind", input: 1, selector: "/sub", dest: "/b", output: -1, readonly: true, contentCache: "off" },
        { type: "cache", input: -1, dest: "/c", output: -1, readonly: false, cache: { id: "i", sharing: "locked" } },
        { type: "tmpfs", input: -1, dest: "/t", output: -1, readonly: false, tmpfs: { sizeBytes: 4096 } },
        { type: "tmpfs", input: -1, dest: "/u", output: -1, readonly: false, tmpfs: { sizeBytes: 0 } },
        { type: "secret", input: -1, dest: "/s", output: -1, readonly: false, secret },
        { type: "ssh", input: -1, dest: "/h", output: -1, readonly: false, ssh: secret },
      ],
      network: "none",
      security: "insecure",
      secretEnv: [{ id: "s", name: "S", optional: false }],
      devices: [{ name: "vendor/class=dev", optional: true }],
    };
    expect(one(op, 2, { os: "windows", architecture: "amd64", osVersion: "10.0" })).toMatchInlineSnapshot(`
      "inputs {
        digest: "sha256:0"
      }
      inputs {
        digest: "sha256:1"
      }
      exec {
        meta {
          args: "a"
          args: ""
          env: "K=v"
          cwd: "/w"
          user: "me"
          proxyEnv {
            http: "p"
            no: "n"
          }
          extraHosts {
            host: "h"
            ip: "10.0.0.1"
          }
          hostname: "name"
          ulimits {
            name: "nofile"
            soft: -1
            hard: 1099511627776
          }
          cgroupParent: "/c"
          removeMountStubsRecursive: true
          validExitCodes: 0
          validExitCodes: 300
        }
        mounts {
          dest: "/"
        }
        mounts {
          input: 1
          selector: "/sub"
          dest: "/b"
          output: -1
          readonly: true
          contentCache: OFF
        }
        mounts {
          input: -1
          dest: "/c"
          output: -1
          type: CACHE
          cache {
            id: "i"
            sharing: LOCKED
          }
        }
        mounts {
          input: -1
          dest: "/t"
          output: -1
          type: TMPFS
          tmpfs {
            sizeBytes: 4096
          }
        }
        mounts {
          input: -1
          dest: "/u"
          output: -1
          type: TMPFS
          tmpfs {
          }
        }
        mounts {
          input: -1
          dest: "/s"
          type: SECRET
          secret {
            id: "s"
            uid: 1
            gid: 2
            mode: 256
            optional: true
          }
        }
        mounts {
          input: -1
          dest: "/h"
          type: SSH
          ssh {
            id: "s"
            uid: 1
            gid: 2
            mode: 256
            optional: true
          }
        }
        network: NONE
        security: INSECURE
        secretEnv {
          id: "s"
          name: "S"
        }
        devices {
          name: "vendor/class=dev"
          optional: true
        }
      }
      platform {
        architecture: "amd64"
        os: "windows"
        osVersion: "10.0"
      }
      constraints {
      }
      "
    `);
  });

  it("every action on files", () => {
    const owner = { user: { kind: "name", name: "app", input: 0 }, group: { kind: "id", id: 0 } } as const;
    const data = Buffer.from([0, 255, 10]);
    const op: Op = {
      kind: "file",
      actions: [
        {
          input: 0,
          secondaryInput: -1,
          output: -1,
          action: { kind: "mkfile", path: "/f", mode: 0o644, data, timestamp: 0 },
        },
        {
          input: 2,
          secondaryInput: -1,
          output: -1,
          action: { kind: "mkdir", path: "/d", mode: 0o755, makeParents: true, owner, timestamp: 1.5 },
        },
        {
          input: 3,
          secondaryInput: -1,
          output: -1,
          action: { kind: "rm", path: "/r", allowNotFound: true, allowWildcard: true },
        },
        {
          input: 4,
          secondaryInput: -1,
          output: -1,
          action: { kind: "symlink", oldPath: "o", newPath: "/n", timestamp: -1 },
        },
        {
          input: 5,
          secondaryInput: 1,
          output: -1,
          action: {
            ...COPY,
            mode: 0o1777,
            owner,
            excludePatterns: ["x"],
            includePatterns: ["a", ""],
            requiredPaths: ["/a"],
          },
        },
        {
          input: 6,
          secondaryInput: 1,
          output: 0,
          action: { ...COPY, modeStr: "u=rwX", alwaysReplaceExistingDestPaths: true },
        },
      ],
    };
    expect(one(op, 2)).toMatchInlineSnapshot(`
      "inputs {
        digest: "sha256:0"
      }
      inputs {
        digest: "sha256:1"
      }
      file {
        actions {
          secondaryInput: -1
          output: -1
          mkfile {
            path: "/f"
            mode: 420
            data: "\\000\\377\\n"
          }
        }
        actions {
          input: 2
          secondaryInput: -1
          output: -1
          mkdir {
            path: "/d"
            mode: 493
            makeParents: true
            owner {
              user {
                name {
                  name: "app"
                }
              }
              group {
                id: 0
              }
            }
            timestampNs: 1500000000
          }
        }
        actions {
          input: 3
          secondaryInput: -1
          output: -1
          rm {
            path: "/r"
            allowNotFound: true
            allowWildcard: true
          }
        }
        actions {
          input: 4
          secondaryInput: -1
          output: -1
          symlink {
            oldPath: "o"
            newPath: "/n"
            timestampNs: -1
          }
        }
        actions {
          input: 5
          secondaryInput: 1
          output: -1
          copy {
            src: "/"
            dest: "/"
            owner {
              user {
                name {
                  name: "app"
                }
              }
              group {
                id: 0
              }
            }
            mode: 1023
            followSymlink: true
            dirCopyContents: true
            createDestPath: true
            allowWildcard: true
            allowEmptyWildcard: true
            timestampNs: -1
            includePatterns: "a"
            includePatterns: ""
            excludePatterns: "x"
            requiredPaths: "/a"
          }
        }
        actions {
          input: 6
          secondaryInput: 1
          copy {
            src: "/"
            dest: "/"
            followSymlink: true
            dirCopyContents: true
            createDestPath: true
            allowWildcard: true
            allowEmptyWildcard: true
            timestampNs: -1
            alwaysReplaceExistingDestPaths: true
            modeStr: "u=rwX"
          }
        }
      }
      constraints {
      }
      "
    `);
  });

  it("merges and differences", () => {
    expect(one({ kind: "merge" }, 3)).toMatchInlineSnapshot(`
      "inputs {
        digest: "sha256:0"
      }
      inputs {
        digest: "sha256:1"
      }
      inputs {
        digest: "sha256:2"
      }
      merge {
        inputs {
        }
        inputs {
          input: 1
        }
        inputs {
          input: 2
        }
      }
      constraints {
      }
      "
    `);
    expect(one({ kind: "diff", lower: -1, upper: 0 }, 1)).toMatchInlineSnapshot(`
      "inputs {
        digest: "sha256:0"
      }
      diff {
        lower {
          input: -1
        }
        upper {
        }
      }
      constraints {
      }
      "
    `);
  });

  it("the instruction that an op comes from, even an empty one, beside its name", () => {
    const op = { kind: "source", identifier: "docker-image://base", attrs: {} } as const;
    const described = (command: string) => {
      const state = sourceState(() => op, { metadata: { name: "shown", command } });
      return decoded("Definition", definitionBytes(wireGraph(definitionOf(state)), []));
    };
    const entry = /key: "com.docker.dockerfile.v1.command"\s+value: "(.*)"/;
    expect(entry.exec(described("FROM base"))?.[1]).toBe("FROM base");
    expect(entry.exec(described(""))?.[1]).toBe("");
  });

  it("a definition: what is known of its ops, what a server must know for them, and their places in the text", () => {
    const bytes = definitionBytes(wireGraph(sample()), [{ file: "Dockerfile", text: "FROM base\nRUN true\n" }]);
    expect(decoded("Definition", bytes)).toMatchInlineSnapshot(`
      "ops: "R\\016\\n\\005amd64\\022\\005linuxZ\\000\\032\\236\\001\\nzoci-layout://docker.io/library/layout-7cfe339ea4a4@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\\022 \\n\\toci.store\\022\\023layout-7cfe339ea4a4"
      ops: "\\nI\\nGsha256:358a57b7572e046cf34ad53d116855193b71c8720b78a8294ccd4974e2c9143aR\\016\\n\\005amd64\\022\\005linuxZ\\000\\022\\024\\n\\013\\n\\004true\\032\\001/X\\001\\022\\003\\032\\001/\\030\\001"
      ops: "\\nI\\nGsha256:712538f6f0476444c1333a008b10a92200e1822fb8105625ea0b281735f7677c"
      metadata {
        key: "sha256:358a57b7572e046cf34ad53d116855193b71c8720b78a8294ccd4974e2c9143a"
        value {
          description {
            key: "ashlar.layout.directory"
            value: "/base"
          }
          description {
            key: "llb.customname"
            value: "[1/2] FROM base"
          }
          caps {
            key: "source.ocilayout"
            value: true
          }
        }
      }
      metadata {
        key: "sha256:712538f6f0476444c1333a008b10a92200e1822fb8105625ea0b281735f7677c"
        value {
          ignoreCache: true
          description {
            key: "llb.customname"
            value: "[2/2] RUN true"
          }
          caps {
            key: "exec.meta.base"
            value: true
          }
          caps {
            key: "exec.meta.network"
            value: true
          }
          caps {
            key: "exec.meta.setsdefaultpath"
            value: true
          }
          caps {
            key: "exec.mount.bind"
            value: true
          }
        }
      }
      metadata {
        key: "sha256:744eb7952f0a6c1cfb1a70e24e274a1f576d42b5ffc882daa628918aed111aa2"
        value {
          caps {
            key: "constraints"
            value: true
          }
          caps {
            key: "meta.description"
            value: true
          }
          caps {
            key: "meta.ignorecache"
            value: true
          }
          caps {
            key: "platform"
            value: true
          }
        }
      }
      sources {
        locations {
          key: "sha256:358a57b7572e046cf34ad53d116855193b71c8720b78a8294ccd4974e2c9143a"
          value {
            locations {
              ranges {
                start {
                  line: 1
                }
                end {
                  line: 1
                }
              }
            }
          }
        }
        locations {
          key: "sha256:712538f6f0476444c1333a008b10a92200e1822fb8105625ea0b281735f7677c"
          value {
            locations {
              ranges {
                start {
                  line: 2
                }
                end {
                  line: 2
                }
              }
            }
          }
        }
        texts {
          file: "Dockerfile"
          text: "FROM base\\nRUN true\\n"
          language: "Dockerfile"
        }
      }
      "
    `);
  });
});

describe("a graph", () => {
  it("is empty bytes for an empty file system", () => {
    const graph = wireGraph(definitionOf(scratch));
    expect(definitionBytes(graph, [{ file: "Dockerfile", text: "FROM scratch" }])).toHaveLength(0);
    expect(dumpLines(graph, "linux/amd64")).toEqual(['{"version":1,"platform":"linux/amd64","result":null}']);
  });

  it("names each op by the digest of its bytes, and its inputs before it", () => {
    const { ops, root } = wireGraph(sample());
    const seen = new Set<Digest>();
    for (const { digest, bytes, inputs } of ops) {
      expect(digestOf(bytes)).toBe(digest);
      for (const input of inputs) expect(seen).toContain(input.digest);
      seen.add(digest);
    }
    expect(root?.digest).toBe(ops.at(-1)?.digest);
  });

  it("holds what comes to the same bytes once, without the cache if one of its makers wants so", () => {
    const file = (platform: OpNode["platform"], ignoreCache: boolean) =>
      fileState(scratch, [{ action: { kind: "mkdir", path: "/x", mode: 0o755, makeParents: true, timestamp: -1 } }], {
        metadata: { name: "mkdir", ignoreCache },
        platform,
      });
    // BuildKit's file ops have no platform.
    const state = mergeStates([file(amd64, false), file(undefined, true)], { metadata: { name: "merge" } });
    const { ops } = wireGraph(definitionOf(state));
    expect(ops.map(({ metadata }) => metadata?.ignoreCache)).toEqual([true, undefined]);
    expect(ops[1]?.inputs).toEqual([edge(ops[0]?.digest ?? ""), edge(ops[0]?.digest ?? "")]);
  });

  it("refuses a definition that names what it does not hold", () => {
    const node: OpNode = { op: { kind: "merge" }, inputs: [edge("sha256:lost")] };
    const nodes = new Map([["sha256:own" as Digest, node]]);
    expect(() => wireGraph({ nodes, metadata: new Map(), root: undefined })).toThrow("names sha256:lost");
  });

  it("has the same bytes whatever order its maps were filled in", () => {
    const attrs = { a: "1", b: "2", é: "3", "\u{10000}": "4", "\uffff": "5" };
    const dumped = (order: readonly (keyof typeof attrs)[]) => {
      const shuffled = Object.fromEntries(order.map((key) => [key, attrs[key]]));
      const source = sourceState(() => ({ kind: "source", identifier: "local://x", attrs: shuffled }), {
        metadata: { name: "x" },
      });
      const definition = definitionOf(source);
      const graph = wireGraph({ ...definition, metadata: new Map([...definition.metadata].reverse()) });
      return [dumpLines(graph, "linux/amd64"), Buffer.from(definitionBytes(graph, [])).toString("hex")];
    };
    const keys = Object.keys(attrs) as (keyof typeof attrs)[];
    fc.assert(
      fc.property(fc.shuffledSubarray(keys, { minLength: 5 }), (order) => {
        expect(dumped(order)).toEqual(dumped(keys));
      }),
    );
  });

  it("shows bytes as text where they are text", () => {
    const file = (data: Buffer) =>
      fileState(scratch, [{ action: { kind: "mkfile", path: "/f", mode: 0o644, data, timestamp: -1 } }], {
        metadata: { name: "f" },
      });
    const line = (data: Buffer) => dumpLines(wireGraph(definitionOf(file(data))), "linux/amd64")[1];
    expect(line(Buffer.from("é\n"))).toContain('"data":"é\\n"');
    expect(line(Buffer.from([255]))).toContain('"dataBase64":"/w=="');
  });

  it("writes the numbers of 64 bits", () => {
    const sized = (sizeBytes: number) =>
      Buffer.from(
        opBytes(
          {
            op: {
              kind: "exec",
              meta: { args: [], env: [], cwd: "", user: "" },
              mounts: [{ type: "tmpfs", input: 0, dest: "", output: 0, readonly: false, tmpfs: { sizeBytes } }],
              network: "sandbox",
              security: "sandbox",
            },
            inputs: [],
          },
          [],
        ),
      ).toString("hex");
    expect(sized(127)).toContain("087f");
    expect(sized(128)).toContain("088001");
    expect(sized(2 ** 32)).toContain("088080808010");
    expect(sized(Number.MAX_SAFE_INTEGER)).toContain("08ffffffffffffff0f");
    expect(sized(-1)).toContain("08ffffffffffffffffff01");
  });
});

function sample(): Definition {
  const location = (startLine: number) => ({ file: "Dockerfile", startLine, endLine: startLine });
  const base: State = sourceState(
    () => ({ kind: "source", identifier: `oci-layout:///base@sha256:${"b".repeat(64)}`, attrs: {} }),
    {
      metadata: { name: "[1/2] FROM base", location: location(1) },
      platform: amd64,
    },
  );
  const spec = {
    meta: { args: ["true"], env: [], cwd: "/", user: "" },
    mounts: [],
    network: "host",
    security: "sandbox",
  } as const;
  const step = execState(base, spec, {
    metadata: { name: "[2/2] RUN true", location: location(2), ignoreCache: true },
    platform: amd64,
  });
  return definitionOf(step);
}
