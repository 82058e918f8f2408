import type { ImageReport, ReportedImage } from "../engine/index.js";
import {
  type Descriptor,
  descriptorJson,
  goJson,
  type HistoryEntry,
  type ImageConfig,
  type JsonValue,
  type Platform,
  sortedMembers,
} from "../oci/index.js";
import type { TemplateFunction } from "./go-template/index.js";

/** What a template of `imagetools inspect` is filled in with: fields have Go's names, and `json` shows them by those of the documents. */
export interface ImageReportData {
  readonly data: object;
  readonly functions: Readonly<Record<string, TemplateFunction>>;
}

/** REPORT as buildx's templates know it. */
export function imageReportData(report: ImageReport): ImageReportData {
  const { images } = report;
  const shown = new Documents();
  const byPlatform = <T>(make: (image: ReportedImage) => T): unknown => {
    const made = [...images].map(([platform, image]) => [platform, make(image)] as const);
    return made.length > 1 ? new Map(made) : made[0]?.[1];
  };
  const manifest = shown.manifest(report);
  const image = byPlatform(({ config }) => shown.image(config));
  const json = new Map<string, JsonValue>([
    ["name", report.name],
    ["manifest", shown.jsonOf(manifest)],
    ["image", shown.jsonOf(image)],
  ]);
  const data = shown.struct(
    {
      Name: report.name,
      Manifest: manifest,
      Image: image,
      SBOM: byPlatform((each) => shown.sbom(each)),
      Provenance: byPlatform((each) => shown.provenance(each)),
    },
    json,
  );
  return { data, functions: { json: (value) => goJson(shown.jsonOf(value), "indented") } };
}

/** Structs, each with the document that it is. */
class Documents {
  readonly #json = new WeakMap<object, JsonValue>();

  struct<T extends object>(fields: T, json: JsonValue): T {
    this.#json.set(fields, json);
    return fields;
  }

  jsonOf(value: unknown): JsonValue {
    if (Array.isArray(value)) return value.map((each) => this.jsonOf(each));
    if (value instanceof Map)
      return new Map([...sortedKeys(value)].map((key) => [key, this.jsonOf(value.get(key))] as const));
    if (typeof value === "object" && value !== null) return this.#json.get(value);
    return value as JsonValue;
  }

  manifest({ descriptor, manifests, annotations }: ImageReport): object {
    if (manifests === undefined) return this.descriptor(descriptor);
    const listed = manifests.map((each) => this.descriptor(each.descriptor));
    const { mediaType, digest, size } = descriptor;
    const notes = Object.keys(annotations).length === 0 ? undefined : sortedMembers(annotations);
    return this.struct(
      {
        SchemaVersion: 2,
        MediaType: mediaType,
        Digest: digest,
        Size: size,
        Manifests: listed,
        Annotations: new Map(Object.entries(annotations)),
      },
      new Map<string, JsonValue>([
        ["schemaVersion", 2],
        ["mediaType", mediaType],
        ["digest", digest],
        ["size", size],
        ["manifests", listed.map((each) => this.jsonOf(each))],
        ["annotations", notes],
      ]),
    );
  }

  descriptor(descriptor: Descriptor): object {
    const { mediaType, digest, size, urls = [], annotations = {}, platform, artifactType = "" } = descriptor;
    const json = descriptorJson(descriptor);
    return this.struct(
      {
        MediaType: mediaType,
        Digest: digest,
        Size: size,
        URLs: urls,
        Annotations: new Map(Object.entries(annotations)),
        Platform: platform && this.struct(platformFields(platform), json.get("platform")),
        ArtifactType: artifactType,
      },
      json,
    );
  }

  image(config: ImageConfig): object {
    const { created, author, architecture, os, variant, rootfs } = config;
    const run = this.#runtime(config);
    const layers = this.struct(
      { Type: rootfs.type, DiffIDs: rootfs.diff_ids },
      new Map<string, JsonValue>([
        ["type", rootfs.type],
        ["diff_ids", rootfs.diff_ids],
      ]),
    );
    const history = config.history.map((entry) => this.#history(entry));
    const json = new Map<string, JsonValue>([
      ["created", created],
      ["author", author],
      ["architecture", architecture],
      ["os", os],
      ["os.version", config["os.version"]],
      ["os.features", config["os.features"]],
      ["variant", variant],
      ["config", this.jsonOf(run)],
      ["rootfs", this.jsonOf(layers)],
      ["history", history.length === 0 ? undefined : this.jsonOf(history)],
    ]);
    return this.struct(
      {
        Created: created,
        Author: author ?? "",
        Architecture: architecture,
        OS: os,
        OSVersion: config["os.version"] ?? "",
        OSFeatures: config["os.features"] ?? [],
        Variant: variant ?? "",
        Config: run,
        RootFS: layers,
        History: history,
      },
      json,
    );
  }

  sbom({ sboms }: ReportedImage): object {
    const [first, ...others] = sboms.map(mapsOf);
    const json = new Map<string, JsonValue>([
      ["SPDX", first === undefined ? undefined : this.jsonOf(first)],
      ["AdditionalSPDXs", others.length === 0 ? undefined : this.jsonOf(others)],
    ]);
    return this.struct({ SPDX: first, AdditionalSPDXs: others }, json);
  }

  provenance({ provenance }: ReportedImage): object {
    const predicate = mapsOf(provenance);
    const json = new Map([["SLSA", predicate === undefined ? undefined : this.jsonOf(predicate)]]);
    return this.struct({ SLSA: predicate }, json);
  }

  #runtime({ config }: ImageConfig): object {
    const members = RUNTIME.map((name) => [name, config[name]] as const);
    const json = members.filter(([, value]) => !isEmpty(value));
    return this.struct(
      Object.fromEntries(members.map(([name, value]) => [name, mapsOf(value)])),
      new Map(json.map(([name, value]) => [name, this.jsonOf(mapsOf(value))])),
    );
  }

  #history(entry: HistoryEntry): object {
    const { created, created_by: createdBy, author, comment, empty_layer: emptyLayer } = entry;
    return this.struct(
      {
        Created: created,
        CreatedBy: createdBy ?? "",
        Author: author ?? "",
        Comment: comment ?? "",
        EmptyLayer: emptyLayer ?? false,
      },
      new Map<string, JsonValue>([
        ["created", created],
        ["created_by", createdBy],
        ["author", author],
        ["comment", comment],
        ["empty_layer", emptyLayer || undefined],
      ]),
    );
  }
}

/** The members of an image's configuration that the OCI specification knows, in its order. */
const RUNTIME = "User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal ArgsEscaped".split(" ");

function platformFields({ architecture, os, osVersion = "", osFeatures = [], variant = "" }: Platform): object {
  return { Architecture: architecture, OS: os, OSVersion: osVersion, OSFeatures: osFeatures, Variant: variant };
}

/** Any JSON with maps in place of objects. */
function mapsOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(mapsOf);
  if (typeof value !== "object" || value === null) return value;
  return new Map(Object.entries(value).map(([key, member]) => [key, mapsOf(member)]));
}

function sortedKeys(map: ReadonlyMap<unknown, unknown>): readonly string[] {
  return [...map.keys()].map(String).sort();
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === "" || value === false;
}
