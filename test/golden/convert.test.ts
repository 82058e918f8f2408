import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { baseImage, convert, fakeBridge } from "../frontend/convert-fixture.js";

const FOLDER = join(import.meta.dirname, "convert");
const NAMES = readdirSync(FOLDER).flatMap((name) =>
  name.endsWith(".Dockerfile") ? [name.replace(/\.Dockerfile$/, "")] : [],
);

describe("the graph and the config of a Dockerfile stay the same bytes:", () => {
  it.each(NAMES)("%s", async (name) => {
    const bridge = fakeBridge({
      "docker.io/library/base:latest": baseImage(),
      "docker.io/library/tools:latest": baseImage({ User: "root" }),
    });
    const text = readFileSync(join(FOLDER, `${name}.Dockerfile`), "utf8");
    const dockerignore = { name: ".dockerignore", text: "# not needed\n*.log\n!keep.log\n" };
    const { definition, config, platform } = await convert(text, { dockerignore }, bridge);
    const vertices = [...definition.nodes].map(([digest, node]) => ({
      digest,
      ...definition.metadata.get(digest),
      ...node,
    }));
    const lines = [{ platform, root: definition.root?.digest }, ...vertices, config].map((line) =>
      JSON.stringify(line, bytesAsText),
    );
    await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot(join(FOLDER, `${name}.golden`));
  });
});

function bytesAsText(_key: string, value: unknown): unknown {
  const bytes = value as { readonly type?: string; readonly data?: number[] } | null;
  return bytes?.type === "Buffer" ? Buffer.from(bytes.data ?? []).toString("utf8") : value;
}
