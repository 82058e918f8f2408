export { type Attestation, digestSet, STATEMENT_TYPE, type Subject, statementOf } from "./attestation.js";
export { imagePackageUrl } from "./package-url.js";
export { type Access, type BuildRecord, commitDigest, type ProvenanceOptions, provenance } from "./provenance.js";
