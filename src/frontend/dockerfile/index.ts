export { checkDockerfile } from "./check.js";
export { type ContextSourceOptions, contextSource, DOWNLOADED_CONTEXT } from "./context-source.js";
export { type DockerfilePlace, requestAt } from "./cut.js";
export { type Outline, type OutlineArg, type OutlineMount, outlineDockerfile } from "./outline.js";
export { createDockerfileFrontend } from "./solve.js";
export { contextDefinition } from "./source-states.js";
export { didYouMean } from "./suggest.js";
export { listTargets, type TargetInfo } from "./targets.js";
