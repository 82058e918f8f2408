import fs from "node:fs";
import path from "node:path";
import type { Surroundings } from "./surroundings.js";

type Home = Pick<Surroundings, "env" | "homeDirectory">;

/** Path of docker's own configuration, whether it exists or not. */
export function dockerConfigFile({ env, homeDirectory }: Home): string {
  return path.join(env.DOCKER_CONFIG || path.join(homeDirectory, ".docker"), "config.json");
}

/** What the engine knows of its surroundings where it only asks registries. */
export function engineSurroundings(home: Home) {
  const { env, homeDirectory } = home;
  return { env: { HOME: homeDirectory, ...env }, dockerConfig: dockerConfigFile(home) };
}

/** The proxies of that configuration (`proxies.default`), as build arguments in both spellings. Empty without any. */
export function loadProxyArgs(home: Home): Readonly<Record<string, string>> {
  let text: string;
  try {
    text = fs.readFileSync(dockerConfigFile(home), "utf8");
  } catch {
    return {}; // no configuration, or none that this user may read
  }
  return proxyArgsOf(text);
}

/** The same of the configuration's text. A file that is no JSON has no proxies; docker's own commands complain of it. */
export function proxyArgsOf(text: string): Readonly<Record<string, string>> {
  const proxies = member(member(parsed(text), "proxies"), "default");
  const args: Record<string, string> = {};
  for (const [key, name] of PROXIES) {
    const value = member(proxies, key);
    if (typeof value === "string" && value !== "") Object.assign(args, { [name]: value, [name.toLowerCase()]: value });
  }
  return args;
}

const PROXIES = [
  ["httpProxy", "HTTP_PROXY"],
  ["httpsProxy", "HTTPS_PROXY"],
  ["ftpProxy", "FTP_PROXY"],
  ["noProxy", "NO_PROXY"],
  ["allProxy", "ALL_PROXY"],
] as const;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function member(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}
