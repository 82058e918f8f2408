import { expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { compileTemplate } from "../../src/cli/go-template/index.js";
import { imageReportData } from "../../src/cli/image-report-data.js";
import { imageReportText } from "../../src/cli/image-report-text.js";
import { indentJson } from "../../src/cli/json-indent.js";
import type { ImageReport } from "../../src/engine/index.js";
import { type Descriptor, MediaType } from "../../src/oci/index.js";

const [one, two] = [digestOf("one"), digestOf("two")];
const descriptor: Descriptor = { mediaType: MediaType.ociIndex, digest: digestOf("index"), size: 9 };
const manifests: readonly Descriptor[] = [
  {
    mediaType: MediaType.ociManifest,
    digest: one,
    size: 1,
    platform: { os: "windows", architecture: "amd64", osVersion: "10.0", osFeatures: ["win32k"] },
  },
  {
    mediaType: MediaType.ociManifest,
    digest: two,
    size: 2,
    platform: { os: "unknown", architecture: "unknown" },
    annotations: { b: "2", "long.name": "1" },
  },
  { mediaType: MediaType.ociManifest, digest: one, size: 1 },
];
const report: ImageReport = {
  name: "r/app:1",
  descriptor,
  raw: new Uint8Array(),
  manifests: manifests.map((each) => ({ name: `r/app:1@${each.digest}`, descriptor: each })),
  annotations: {},
  images: new Map(),
};

it("an index is told with the columns of Go's tabwriter, which annotations begin anew", () => {
  expect(imageReportText(report).split("\n")).toEqual([
    "Name:      r/app:1",
    `MediaType: ${MediaType.ociIndex}`,
    `Digest:    ${descriptor.digest}`,
    "           ",
    "Manifests: ",
    `  Name:        r/app:1@${one}`,
    `  MediaType:   ${MediaType.ociManifest}`,
    "  Platform:    windows/amd64",
    "  OSVersion:   10.0",
    "  OSFeatures:  win32k",
    "               ",
    `  Name:        r/app:1@${two}`,
    `  MediaType:   ${MediaType.ociManifest}`,
    "  Platform:    unknown/unknown",
    "  Annotations: ",
    "    b:         2",
    "    long.name: 1",
    "             ",
    `  Name:      r/app:1@${one}`,
    `  MediaType: ${MediaType.ociManifest}`,
    "",
  ]);
});

it("templates have Go's names of fields, json those of the documents", () => {
  const { data, functions } = imageReportData(report);
  const shown = (template: string) => compileTemplate(template, functions).render(data);
  expect(shown("{{range .Manifest.Manifests}}{{.Size}}{{with .Platform}} {{.OSVersion}}{{end}};{{end}}")).toBe(
    "1 10.0;2 ;1;",
  );
  expect(shown("{{json (index .Manifest.Manifests 0).Platform}}")).toBe(
    '{\n  "architecture": "amd64",\n  "os": "windows",\n  "os.version": "10.0",\n  "os.features": [\n    "win32k"\n  ]\n}',
  );
  expect(() => shown("{{.Manifest.digest}}")).toThrow('no field "digest"');
});

it.each([
  [
    '{"a":[1,{"b":"x,y:{}"}],"c":{},"d":[ ]}',
    '{\n\t"a": [\n\t\t1,\n\t\t{\n\t\t\t"b": "x,y:{}"\n\t\t}\n\t],\n\t"c": {},\n\t"d": []\n}',
  ],
  ['"\\u003c\\""', '"\\u003c\\""'],
  ["", ""],
])("%s is indented as Go does it", (text, expected) => {
  expect(indentJson(text, "\t")).toBe(expected);
});
