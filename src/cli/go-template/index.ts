export type { TemplateFunction } from "./functions.js";
export { goValueJson, NIL_MAP, NIL_SLICE } from "./go-value.js";
export { compileTemplate, type Template } from "./template.js";
export { TemplateError } from "./template-error.js";
