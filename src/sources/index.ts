export type { GitAuthNames } from "./git-auth.js";
export { createGitProgram, type GitPrograms } from "./git-program.js";
export type { GitRequest, GitTarget } from "./git-remote.js";
export { createGitSource, type GitCheckouts, type GitSource, type GitWanted } from "./git-source.js";
export { createWebClient, type TrustOptions, trustedAuthorities } from "./http-client.js";
export { createHttpEntities, type HttpEntities, httpEntityMigrations } from "./http-entities.js";
export {
  createHttpDownloads,
  type DownloadOptions,
  type HttpBody,
  type HttpDownloads,
  safeFileName,
} from "./http-source.js";
export { createImageSource, type ImageSource, type ImageSourceOptions, type ResolveOptions } from "./image.js";
export { type LayoutIdentifier, parseLayoutIdentifier, resolveLayoutImage } from "./oci-layout.js";
export { type SourceImage, selectImage } from "./source-image.js";
