import { type Subject, statementOf } from "../attest/index.js";
import { type AbortOptions, EngineError } from "../base/index.js";
import type { DataPlane } from "../snapshot/index.js";
import type { ExportedImage } from "./image.js";

/** A file that says something of those beside it. */
export interface AttestationFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** What such files are called: before the attestation's own name, and behind it where those of several platforms lie side by side. */
export interface AttestationNaming {
  readonly prefix: string;
  readonly suffix?: string;
}

/** What is said of the files of an image, each as a file: its subjects are all regular files. */
export async function attestationFiles(
  plane: DataPlane,
  { tree, attestations = [] }: ExportedImage,
  { prefix, suffix }: AttestationNaming,
  { signal }: AbortOptions,
): Promise<readonly AttestationFile[]> {
  const told = attestations.filter(({ inlineOnly }) => !inlineOnly);
  if (told.length === 0) return [];
  const { digests } = await plane.run("surveyTree", { tree, digests: true }, { signal });
  const subjects = digests.map(({ path, digest }): Subject => ({ name: path, digest }));
  const files = told.map((attestation): AttestationFile => {
    const name = prefix + suffixed(attestation.fileName.split("/").at(-1) ?? "", suffix);
    if (name === "" || name === "." || name === ".." || name.includes("/"))
      throw new EngineError("invalid", `${JSON.stringify(name)} is no name of a file for an attestation`);
    return { name, content: Buffer.from(JSON.stringify(statementOf(attestation, subjects, []), undefined, 2)) };
  });
  const names = files.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new EngineError("invalid", `duplicate attestation path name ${twice}`);
  return files;
}

/** `provenance.json` becomes `provenance.linux_amd64.json`. */
function suffixed(name: string, suffix: string | undefined): string {
  if (suffix === undefined) return name;
  const dot = name.lastIndexOf(".");
  return dot < 0 ? `${name}.${suffix}` : `${name.slice(0, dot)}.${suffix}${name.slice(dot)}`;
}
