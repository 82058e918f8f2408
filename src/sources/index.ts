export { createImageSource, type ImageSource, type ImageSourceOptions, type ResolveOptions } from "./image.js";
export { type LayoutIdentifier, parseLayoutIdentifier, resolveLayoutImage } from "./oci-layout.js";
export { type SourceImage, selectImage } from "./source-image.js";
