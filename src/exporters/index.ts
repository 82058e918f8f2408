export type { Annotation, AnnotationPlace } from "./annotations.js";
export {
  type CommitOutput,
  type ImageOutput,
  parseAnnotations,
  parseImageOutput,
  parseStoreOutput,
  parseTreeOutput,
  type StoreOutput,
} from "./attributes.js";
export { writeFileTo } from "./destination.js";
export { effectiveEpoch } from "./epoch.js";
export { exportDocker, exportOci, type ImageExport } from "./export-image.js";
export { exportLocal, exportTar, type TreeExport } from "./export-tree.js";
export type { ExportedImage, WrittenImages } from "./image.js";
export { createImageWriter, type ImageWriter, type WriteOptions } from "./image-writer.js";
export { type ExportOptions, type ExportStatus, reported } from "./progress.js";
export { type SavedImage, saveImages } from "./save-images.js";
export { fullNames, type StoredImages, storeImage } from "./store-image.js";
