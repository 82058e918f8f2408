import fs from "node:fs";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type ExportedImage,
  exportLocal,
  exportTar,
  parseTreeOutput,
  type TreeExport,
} from "../../src/exporters/index.js";
import type { Tree } from "../../src/snapshot/index.js";
import { AMD64, ARM64, entriesOf, image, run, Workshop } from "./workshop.js";

let shop: Workshop;
let tree: Tree;
beforeEach(async () => {
  shop = await Workshop.open();
  const base = await shop.layer([], "mkdir d; echo a > d/f; echo gone > d/gone; chown 1000:50 d/f; chmod 4750 d/f");
  tree = await shop.layer(base, "mkdir -p d; mknod d/gone c 0 0; ln -s f d/l; mkfifo p");
});
afterEach(async () => {
  await shop[Symbol.asyncDispose]();
});

function request(destination: TreeExport["destination"], changes: Partial<TreeExport> = {}): TreeExport {
  return { images: [image(tree)], destination, output: parseTreeOutput("local", {}), ...changes };
}

const several = () => [image(tree, {}, AMD64), image(tree, {}, ARM64)];
const listing = (directory: string) =>
  run("find", directory, "-mindepth", "1", "-printf", "%P %y %m %U %TY\n").trimEnd().split("\n").sort();

describe("a directory", () => {
  it("gets the files as they are in the end, owned by whoever builds", async () => {
    await exportLocal(shop, request(shop.path("deep/out")));
    expect(listing(shop.path("deep/out"))).toEqual([
      "d d 755 0 2019",
      "d/f f 4750 0 2019",
      "d/l l 777 0 2019",
      "p p 644 0 2019",
    ]);
  });

  it("keeps what is not replaced, unless told otherwise", async () => {
    const out = shop.path("out");
    fs.mkdirSync(`${out}/d/f`, { recursive: true });
    fs.writeFileSync(`${out}/kept`, "kept");
    await exportLocal(shop, request(out));
    expect(fs.readdirSync(out)).toEqual(["d", "kept", "p"]);
    expect(fs.readFileSync(`${out}/d/f`, "utf8")).toBe("a\n");
    await exportLocal(shop, request(out, { output: parseTreeOutput("local", { mode: "delete" }) }));
    expect(fs.readdirSync(out)).toEqual(["d", "p"]);
  });

  it("gets a directory per platform where there are several, or where that is asked for", async () => {
    const ids = new Set<string>();
    await exportLocal(shop, request(shop.path("out"), { images: several(), onProgress: ({ id }) => ids.add(id) }));
    expect(fs.readdirSync(shop.path("out"))).toEqual(["linux_amd64", "linux_arm64"]);
    expect(fs.readFileSync(shop.path("out/linux_arm64/d/f"), "utf8")).toBe("a\n");
    expect([...ids].sort()).toEqual(["copying files linux/amd64", "copying files linux/arm64"]);
    const output = parseTreeOutput("local", { "platform-split": "true", mode: "delete" });
    await exportLocal(shop, request(shop.path("out"), { output }));
    expect(fs.readdirSync(shop.path("out"))).toEqual(["linux_amd64"]);
  });

  it("gets the files of several platforms side by side where they don't meet", async () => {
    const output = parseTreeOutput("local", { "platform-split": "false", mode: "delete" });
    const other = await shop.layer([], "mkdir d; echo arm > d/arm");
    const told: ExportedImage["attestations"] = [
      { predicateType: "x", predicate: () => ({}), fileName: "provenance.json", inlineOnly: false },
    ];
    const images = [image(tree, {}, AMD64), { ...image(other, {}, ARM64), attestations: told }];
    fs.mkdirSync(shop.path("out"));
    fs.writeFileSync(shop.path("out/old"), "");
    await exportLocal(shop, request(shop.path("out"), { images, output }));
    expect(listing(shop.path("out")).map((line) => line.split(" ")[0])).toEqual([
      "d",
      "d/arm",
      "d/f",
      "d/l",
      "p",
      "provenance.linux_arm64.json",
    ]);
    await expect(exportLocal(shop, request(shop.path("x"), { images: several(), output }))).rejects.toThrow(
      "cannot overwrite d/f from linux/amd64 with linux/arm64 when split option is disabled",
    );
    expect(fs.existsSync(shop.path("x"))).toBe(false);
  });

  it("is dated throughout by SOURCE_DATE_EPOCH", async () => {
    const out = shop.path("out");
    await exportLocal(shop, request(out, { images: several(), sourceDateEpoch: Date.UTC(2020, 0) / 1000 }));
    expect(listing(out).every((line) => line.endsWith(" 2020"))).toBe(true);
    const output = parseTreeOutput("local", { "source-date-epoch": "" });
    await exportLocal(shop, request(shop.path("own"), { output, sourceDateEpoch: 1 }));
    expect(listing(shop.path("own")).every((line) => line.endsWith(" 2019"))).toBe(true);
  });

  it("has a place", async () => {
    await expect(exportLocal(shop, request(""))).rejects.toThrow("dest is required for local exporter");
    await expect(exportLocal(shop, request(new PassThrough()))).rejects.toThrow(
      "dest cannot be stdout for local exporter",
    );
    fs.writeFileSync(shop.path("file"), "");
    await expect(exportLocal(shop, request(shop.path("file/out")))).rejects.toThrow("copying files to");
  });

  it("gets the files of a base image that was not here", async () => {
    const lazy = await shop.layers.adopt([shop.remoteLayer("echo r > r")], "build");
    await exportLocal(shop, request(shop.path("out"), { images: [image(lazy)] }));
    expect(fs.readFileSync(shop.path("out/r"), "utf8")).toBe("r\n");
  });
});

describe("an archive of files", () => {
  const fields = (file: string) =>
    entriesOf(file).map((line) => line.split(/\s+/).filter((_, i) => i !== 2 && i !== 4));

  it("holds them as they are in the end, with their owners", async () => {
    const file = shop.path("deep/out.tar");
    const sizeBytes = await exportTar(shop, request(file));
    expect(fs.statSync(file).size).toBe(sizeBytes);
    expect(fields(file)).toEqual([
      ["drwxr-xr-x", "0/0", "2019-01-01", "d/"],
      ["-rwsr-x---", "1000/50", "2019-01-01", "d/f"],
      ["lrwxrwxrwx", "0/0", "2019-01-01", "d/l", "->", "f"],
      ["prw-r--r--", "0/0", "2019-01-01", "p"],
    ]);
  });

  it("is empty for an empty file system", async () => {
    await exportTar(shop, request(shop.path("out.tar"), { images: [image([])] }));
    expect(entriesOf(shop.path("out.tar"))).toEqual([]);
  });

  it("holds a directory per platform", async () => {
    await exportTar(shop, request(shop.path("out.tar"), { images: several(), sourceDateEpoch: 0 }));
    const names = run("tar", "-tf", shop.path("out.tar")).trimEnd().split("\n");
    expect(names.filter((name) => name.endsWith("/f"))).toEqual(["linux_amd64/d/f", "linux_arm64/d/f"]);
    const output = parseTreeOutput("tar", { "platform-split": "false" });
    await exportTar(shop, request(shop.path("same.tar"), { images: several(), sourceDateEpoch: 0, output }));
    expect(fs.readFileSync(shop.path("same.tar")).equals(fs.readFileSync(shop.path("out.tar")))).toBe(true);
    expect(entriesOf(shop.path("out.tar")).every((line) => line.includes(" 1970-01-01 "))).toBe(true);
  });

  it("is written to a stream as well, the same", async () => {
    const stream = new PassThrough();
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await exportTar(shop, request(stream));
    await exportTar(shop, request(shop.path("out.tar")));
    expect(Buffer.concat(chunks).equals(fs.readFileSync(shop.path("out.tar")))).toBe(true);
    expect(shop.temporaries()).toEqual([]);
  });

  it("is not there after a failure", async () => {
    const file = shop.path("deep/out.tar");
    await expect(exportTar(shop, request(file, { signal: AbortSignal.abort() }))).rejects.toMatchObject({
      code: "canceled",
    });
    expect(fs.existsSync(shop.path("deep"))).toBe(false);
  });
});
