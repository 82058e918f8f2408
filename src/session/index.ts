export * from "./credentials.js";
export * from "./secrets.js";
