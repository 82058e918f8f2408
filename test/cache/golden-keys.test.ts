import { expect, test } from "vitest";
import { type Digest, digestOf } from "../../src/base/index.js";
import { digestOfNode, type OpNode } from "../../src/llb/index.js";
import { explainedKey } from "../../src/solver/index.js";

const op = (n: number): Digest => digestOf(`op ${n}`);
const edge = { digest: op(9), index: 0 };

test("cache keys stay what they are: what an older version kept is found by a newer one", () => {
  const source = explainedKey({ v: 1, op: op(1), inputs: [] });
  const copy = explainedKey({ v: 1, op: op(2), inputs: [{ key: source.key, index: 0 }, { content: op(3) }] });
  const run = explainedKey({ v: 1, op: op(4), inputs: [{ key: copy.key, index: 1, selector: "/app" }] });
  const result = explainedKey({ v: 1, result: op(5) });
  expect([source, copy, run, result].map(({ key }) => key)).toMatchInlineSnapshot(`
    [
      "sha256:f5e76cc099480b22156b4564ff2066a213f5ab9f7b74568500ff09ba60cda716",
      "sha256:ce016d841618010ca772df9c1b844c3701a57b61c4d97d6742cedab75f7620ba",
      "sha256:c2004e7e6088d36256666e0754a1e739e25c4291565823b0426ccd587156df38",
      "sha256:32b0d68fc9a4689a970ac8db7a5aa3be1e4cfcd2c0e0ce9a0ced9a8ad3d5b592",
    ]
  `);
});

test("digests of ops stay what they are, whatever order their members are written in", () => {
  const platform = { os: "linux", architecture: "amd64" };
  const meta = { args: ["/bin/sh", "-c", "true"], env: ["A=1"], cwd: "/", user: "" };
  const root = { type: "bind", input: 0, dest: "/", output: 0, readonly: false } as const;
  const nodes: OpNode[] = [
    {
      op: { kind: "source", identifier: "docker-image://docker.io/library/alpine:3", attrs: {} },
      inputs: [],
      platform,
    },
    { op: { kind: "source", attrs: { "local.excludepatterns": "[]" }, identifier: "local://context" }, inputs: [] },
    { op: { kind: "exec", meta, mounts: [root], network: "sandbox", security: "sandbox" }, inputs: [edge], platform },
    {
      op: {
        kind: "file",
        actions: [
          {
            input: 0,
            secondaryInput: -1,
            output: 0,
            action: { kind: "mkfile", path: "/f", mode: 0o644, data: Buffer.from([0, 255]), timestamp: -1 },
          },
        ],
      },
      inputs: [edge],
    },
    { op: { kind: "merge" }, inputs: [edge, { ...edge, index: 1 }] },
    { op: { kind: "diff", lower: -1, upper: 0 }, inputs: [edge] },
  ];
  const reversed = (node: OpNode): OpNode => ({
    ...node,
    op: Object.fromEntries(Object.entries(node.op).reverse()) as never,
  });
  expect(nodes.map((node) => digestOfNode(reversed(node)))).toEqual(nodes.map(digestOfNode));
  expect(nodes.map(digestOfNode)).toMatchInlineSnapshot(`
    [
      "sha256:a6fcfd975cb510965a24524b399ee7eddf3575e31da2133461d96fbc1d61b7ff",
      "sha256:06254d9fcc1963fa5b97479bfb7bc1aa3a999a707a0d353f6f4958ce35a49b46",
      "sha256:f20e1bc93f55eb404466158563eccbca52be8f7ca7f696b9c64d1801c0f4c695",
      "sha256:3d276e603d6c873bba0d83e550090e6e6788580caa2cf1cef3cf199b4754c04c",
      "sha256:dd00bcaee9b2317f6b12e0969950a48fa325c78d2a327f9ec74324b965633c8c",
      "sha256:7df23fd7231237076f2fcd7e3567d4741545e005da760a77b26087e079f55522",
    ]
  `);
});
