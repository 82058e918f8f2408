import path from "node:path";
import type { BuildRequest } from "../engine/index.js";
import { parseSsh } from "./ssh-flag.js";

/** Whether TEXT has the form of an address of a repository or a download. The engine still prefers a directory of that name. */
export function isAddress(text: string): boolean {
  return /^(?:https?|git|ssh):\/\//i.test(text) || /^github\.com\//.test(text) || isScpAddress(text);
}

/** Secrets that repositories are opened with; the variables of these names are lent without being asked for. */
const GIT_SECRETS = ["GIT_AUTH_TOKEN", "GIT_AUTH_HEADER"];

/** REQUEST with what the environment has to open the repository at ADDRESS, where no flag says anything else. */
export function withLentAccess(
  request: Omit<BuildRequest, "context">,
  address: string,
  env: Readonly<Record<string, string | undefined>>,
): Omit<BuildRequest, "context"> {
  const { secrets = [], ssh = [] } = request;
  const missing = GIT_SECRETS.filter((id) => env[id] && !secrets.some((secret) => secret.id === id));
  const lent = missing.map((id) => ({ id, source: "value", value: Buffer.from(env[id] ?? "") }) as const);
  const needsAgent = /^ssh:/i.test(address) || isScpAddress(address);
  const agent = needsAgent && ssh.length === 0 && env.SSH_AUTH_SOCK ? [parseSsh("default", env, path.sep)] : [];
  return { ...request, secrets: [...secrets, ...lent], ssh: [...ssh, ...agent] };
}

/** `user@host:path`. */
function isScpAddress(text: string): boolean {
  return /^[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:[^/\\]?/.test(text) && !text.includes("://");
}
