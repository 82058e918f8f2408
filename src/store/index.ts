export * from "./content-store.js";
export * from "./database.js";
export { type Documents, passingDocuments, storedDocumentsIn } from "./documents.js";
export * from "./image-store.js";
export { type EndOfWait, LockedDatabase, type WaitingOptions } from "./patience.js";
export * from "./reference-store.js";
export { DamagedDatabase, type SqlValue } from "./sqlite.js";
export { onlyLooking, tiered } from "./tiered.js";
