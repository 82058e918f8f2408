export { checkDockerfile, createDockerfileFrontend } from "./solve.js";
