export { checkDockerfile } from "./check.js";
export { type ContextSourceOptions, contextSource, DOWNLOADED_CONTEXT } from "./context-source.js";
export { createDockerfileFrontend } from "./solve.js";
