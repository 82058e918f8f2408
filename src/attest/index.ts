export { type Attestation, digestSet, STATEMENT_TYPE, type Subject, statementOf } from "./attestation.js";
export { parseProvenanceOptions, parseSbomOptions, type SbomOptions } from "./options.js";
export { imagePackageUrl } from "./package-url.js";
export { type Access, type BuildRecord, commitDigest, type ProvenanceOptions, provenance } from "./provenance.js";
export { packagesIn, type SbomFile, type SbomInput, sbom, sbomPatterns } from "./sbom.js";
