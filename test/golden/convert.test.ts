import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeImageConfig } from "../../src/oci/index.js";
import { baseImage, convert, fakeBridge } from "../frontend/convert-fixture.js";

const FOLDER = join(import.meta.dirname, "convert");
const NAMES = readdirSync(FOLDER).flatMap((name) =>
  name.endsWith(".Dockerfile") ? [name.replace(/\.Dockerfile$/, "")] : [],
);

const GIVEN = {
  buildArgs: [
    ["UNUSED", "1"],
    ["HTTP_PROXY", "http://proxy"],
    ["BUILDKIT_CACHE_MOUNT_NS", "ns"],
  ],
  labels: [
    ["from", "outside"],
    ["also", "from outside"],
  ],
} as const;

/** The graph and the config of a Dockerfile as text; the maps of the request in the order that ORDER makes of them. */
async function converted(name: string, order: <T>(entries: readonly T[]) => readonly T[]): Promise<string> {
  const bridge = fakeBridge({
    "docker.io/library/base:latest": baseImage(),
    "docker.io/library/tools:latest": baseImage({ User: "root" }),
  });
  const text = readFileSync(join(FOLDER, `${name}.Dockerfile`), "utf8");
  const request = {
    dockerignore: { name: ".dockerignore", text: "# not needed\n*.log\n!keep.log\n" },
    ...(name === "settings"
      ? { buildArgs: new Map(order(GIVEN.buildArgs)), labels: new Map(order(GIVEN.labels)) }
      : {}),
  };
  const { definition, config, platform } = await convert(text, request, bridge);
  const vertices = [...definition.nodes].map(([digest, node]) => ({
    digest,
    ...definition.metadata.get(digest),
    // For explanations alone: test/frontend/step-variables.test.ts.
    args: undefined,
    variables: undefined,
    derivations: undefined,
    choosers: undefined,
    inherited: undefined,
    ...node,
  }));
  const lines = [{ platform, root: definition.root?.digest }, ...vertices].map((line) =>
    JSON.stringify(line, bytesAsText),
  );
  return `${[...lines, encodeImageConfig(config).toString()].join("\n")}\n`;
}

describe("the graph and the config of a Dockerfile stay the same bytes:", () => {
  it.each(NAMES)("%s", async (name) => {
    const text = await converted(name, (entries) => entries);
    expect(await converted(name, (entries) => entries.toReversed())).toBe(text);
    await expect(text).toMatchFileSnapshot(join(FOLDER, `${name}.golden`));
  });
});

function bytesAsText(_key: string, value: unknown): unknown {
  const bytes = value as { readonly type?: string; readonly data?: number[] } | null;
  return bytes?.type === "Buffer" ? Buffer.from(bytes.data ?? []).toString("utf8") : value;
}
