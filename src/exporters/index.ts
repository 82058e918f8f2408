export { type ImageOutput, parseImageOutput, parseTreeOutput } from "./attributes.js";
export { exportDocker, exportOci, type ImageExport } from "./export-image.js";
export { exportLocal, exportTar, type TreeExport } from "./export-tree.js";
export type { ExportedImage, WrittenImages } from "./image.js";
export { createImageWriter, type ImageWriter, type WriteOptions } from "./image-writer.js";
export type { ExportOptions, ExportStatus } from "./progress.js";
export { fullNames, type StoredImages, storeImage } from "./store-image.js";
