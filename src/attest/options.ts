import { EngineError } from "../base/index.js";
import type { ProvenanceOptions } from "./provenance.js";

/** How a bill of materials is asked for. */
export interface SbomOptions {
  readonly fileName: string;
}

type Attributes = Readonly<Record<string, string>>;

/** Reads the attributes of `--attest type=provenance`. Throws `invalid`. */
export function parseProvenanceOptions(attributes: Attributes): ProvenanceOptions {
  refuseUnknown(attributes, PROVENANCE_ATTRIBUTES, "provenance");
  const { mode = "max", version = "v1" } = attributes;
  if (version !== "v1" && version !== "v0.2")
    throw new EngineError("invalid", `invalid provenance SLSA version: ${version}`);
  return {
    mode: modeOf(mode),
    version,
    builderId: attributes["builder-id"] ?? "",
    fileName: attributes.filename ?? "provenance.json",
    inlineOnly: parseFlag("inline-only", attributes["inline-only"]),
    reproducible: parseFlag("reproducible", attributes.reproducible),
  };
}

/** Reads the attributes of `--attest type=sbom`. Throws `invalid`, `unsupported` for another scanner than the one built in. */
export function parseSbomOptions(attributes: Attributes): SbomOptions {
  refuseUnknown(attributes, SBOM_ATTRIBUTES, "sbom");
  if (attributes.generator)
    throw new EngineError(
      "unsupported",
      `the generator ${attributes.generator} can't be used: packages are looked up here`,
    );
  return { fileName: "sbom.spdx.json" };
}

const PROVENANCE_ATTRIBUTES = ["builder-id", "filename", "inline-only", "mode", "reproducible", "version"];
const SBOM_ATTRIBUTES = ["generator"];

function modeOf(text: string): ProvenanceOptions["mode"] {
  switch (text) {
    case "min":
    case "max":
      return text;
    case "full":
      return "max";
    default:
      throw new EngineError("invalid", `invalid mode ${JSON.stringify(text)}`);
  }
}

function parseFlag(name: string, text: string | undefined): boolean {
  if (text === undefined || /^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  throw new EngineError("invalid", `failed to parse ${name} flag ${JSON.stringify(text)}: it is true or false`);
}

function refuseUnknown(attributes: Attributes, known: readonly string[], type: string): void {
  const unknown = Object.keys(attributes).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new EngineError(
    "invalid",
    `unknown attribute ${JSON.stringify(unknown)} of the attestation ${type}: there are ${known.join(", ")}`,
  );
}
