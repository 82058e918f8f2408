export type { TemplateFunction } from "./functions.js";
export { goValueJson } from "./go-value.js";
export { compileTemplate, type Template } from "./template.js";
export { TemplateError } from "./template-error.js";
