import type { Digest } from "../base/index.js";
import type { Layer } from "../oci/index.js";

/** Something said about an image or about files, by a predicate of a known type (in-toto Attestation Framework). */
export interface Attestation {
  /** What it is called among files: `provenance.json`. */
  readonly fileName: string;
  /** `https://slsa.dev/provenance/v1` */
  readonly predicateType: string;
  /** Whether it only goes where images carry it, and not among files. */
  readonly inlineOnly: boolean;
  /** What is said, as JSON. LAYERS: those of the image as they are written, bottom first; none for files. */
  predicate(layers: readonly Layer[]): object;
}

/** What a statement is about. */
export interface Subject {
  /** A package URL or a path. */
  readonly name: string;
  readonly digest: Digest;
}

/** The media type of a statement. */
export const STATEMENT_TYPE = "application/vnd.in-toto+json";

/** ATTESTATION about SUBJECTS, as in-toto's Statement v1. */
export function statementOf(attestation: Attestation, subjects: readonly Subject[], layers: readonly Layer[]): object {
  return {
    _type: "https://in-toto.io/Statement/v1",
    predicateType: attestation.predicateType,
    subject: subjects.map(({ name, digest }) => ({ name, digest: digestSet(digest) })),
    predicate: attestation.predicate(layers),
  };
}

/** `{"sha256": "…"}` */
export function digestSet(digest: string): Readonly<Record<string, string>> {
  const colon = digest.indexOf(":");
  return { [digest.slice(0, colon)]: digest.slice(colon + 1) };
}
