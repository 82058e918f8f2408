export * from "./credentials.js";
export * from "./secrets.js";
export * from "./ssh-agents.js";
export { type SshAgent, type SshSocket, serveSshAgent } from "./ssh-socket.js";
