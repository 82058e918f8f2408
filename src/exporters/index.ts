export type { Annotation, AnnotationPlace } from "./annotations.js";
export {
  type Attributes,
  type EpochOverride,
  type ImageOutput,
  parseImageOutput,
  parseTreeOutput,
  type TreeOutput,
} from "./attributes.js";
export type { Destination } from "./destination.js";
export { type ExportedArchive, exportDocker, exportOci, type ImageExport, type ImageExporter } from "./export-image.js";
export { exportLocal, exportTar, type TreeExport, type TreeExporter } from "./export-tree.js";
export type { ExportedImage, WrittenImage, WrittenImages } from "./image.js";
export { createImageWriter, type DocumentOptions, type ImageWriter, type WriteOptions } from "./image-writer.js";
export type { ImageWriterOptions } from "./layer-blobs.js";
export type { MediaTypes } from "./layer-descriptor.js";
export type { ExportOptions, ExportStatus } from "./progress.js";
export { fullNames, type ImageKeeper, type StoredImages, storeImage } from "./store-image.js";
