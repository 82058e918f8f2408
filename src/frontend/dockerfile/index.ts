export { type ContextSourceOptions, contextSource, DOWNLOADED_CONTEXT } from "./context-source.js";
export { checkDockerfile, createDockerfileFrontend } from "./solve.js";
