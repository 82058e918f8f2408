export * from "./credentials.js";
export * from "./secrets.js";
export { openSshAgents, type SshAgents, type SshSpec } from "./ssh-agents.js";
