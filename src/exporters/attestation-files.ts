import { type Subject, statementOf } from "../attest/index.js";
import { type AbortOptions, EngineError } from "../base/index.js";
import type { DataPlane } from "../snapshot/index.js";
import type { ExportedImage } from "./image.js";

/** A file that says something of those beside it. */
export interface AttestationFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** What is said of the files of an image, each as a file whose name begins with PREFIX: its subjects are all regular files. */
export async function attestationFiles(
  plane: DataPlane,
  { tree, attestations = [] }: ExportedImage,
  prefix: string,
  { signal }: AbortOptions,
): Promise<readonly AttestationFile[]> {
  const told = attestations.filter(({ inlineOnly }) => !inlineOnly);
  if (told.length === 0) return [];
  const { digests } = await plane.run("surveyTree", { tree, digests: true }, { signal });
  const subjects = digests.map(({ path, digest }): Subject => ({ name: path, digest }));
  const files = told.map((attestation): AttestationFile => {
    const name = prefix + (attestation.fileName.split("/").at(-1) ?? "");
    if (name === "" || name === "." || name === ".." || name.includes("/"))
      throw new EngineError("invalid", `${JSON.stringify(name)} is no name of a file for an attestation`);
    return { name, content: Buffer.from(JSON.stringify(statementOf(attestation, subjects, []), undefined, 2)) };
  });
  const names = files.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new EngineError("invalid", `duplicate attestation path name ${twice}`);
  return files;
}
