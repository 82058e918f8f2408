import { Buffer } from "node:buffer";
import { type AbortOptions, EngineError } from "../base/index.js";
import type { Secrets } from "../session/index.js";
import { basicAuthorization, secretLine } from "./http-auth.js";

/** Under which names the caller may have lent what opens a repository. */
export interface GitAuthNames {
  /** A whole Authorization header; with `.<host>` after it, for that host alone. */
  readonly header: string | undefined;
  /** A token of a git host, in the same way. */
  readonly token: string | undefined;
  /** The agent with keys for ssh; undefined where ssh is not used. */
  readonly ssh: string | undefined;
}

/** An address without credentials, and what git is to be told for it alone. */
export interface AuthorizedRemote {
  readonly remote: string;
  readonly config: readonly (readonly [name: string, value: string])[];
}

/** The ssh agents that the caller of a build lends it. */
export interface SshSockets {
  /** Serves the agent ID at a socket in DIRECTORY, which is made, until it is disposed of; undefined if none of that name is lent. */
  open(id: string, directory: string): Promise<SshSocket | undefined>;
}

export interface SshSocket extends AsyncDisposable {
  readonly path: string;
}

/** Tokens for GitHub are of use for all of its repositories, submodules for one. */
const SHARED_SCOPES = ["https://github.com/", "https://www.github.com/"];
/** The user that git hosts expect beside a token. */
const TOKEN_USER = "x-access-token";

/** Takes the credentials out of ADDRESS and adds those that are lent. Errors: those of the secrets. */
export async function authorize(
  address: string,
  names: GitAuthNames,
  secrets: Secrets,
  options: AbortOptions = {},
): Promise<AuthorizedRemote> {
  const url = /^(https?|git|ssh):\/\//i.test(address) && URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined) return { remote: address, config: [] };
  if (!url.protocol.startsWith("http")) {
    url.password = "";
    return { remote: url.href, config: [] };
  }
  const own = basicAuthorization(url);
  url.username = "";
  url.password = "";
  const remote = url.href;
  const lentHeader = await headerFor(url.host, names, secrets, options);
  if (lentHeader !== undefined) return { remote, config: [header(tokenScope(remote), lentHeader)] };
  // Relative addresses of submodules lead to the same host, and would carry it on.
  return { remote, config: own === undefined ? [] : [header(`${url.origin}/`, own)] };
}

async function headerFor(
  host: string,
  { header: headerName, token: tokenName }: GitAuthNames,
  secrets: Secrets,
  options: AbortOptions,
): Promise<string | undefined> {
  for (const suffix of [`.${host}`, ""]) {
    const given = headerName === undefined ? undefined : await secretLine(secrets, headerName + suffix, options);
    if (given !== undefined) return given;
    const token = tokenName === undefined ? undefined : await secretLine(secrets, tokenName + suffix, options);
    if (token !== undefined) return `basic ${Buffer.from(`${TOKEN_USER}:${token}`).toString("base64")}`;
  }
  return undefined;
}

function header(scope: string, value: string): readonly [string, string] {
  return [`http.${scope}.extraheader`, `Authorization: ${value}`];
}

function tokenScope(remote: string): string {
  return SHARED_SCOPES.find((scope) => remote.startsWith(scope)) ?? remote;
}

/** Serves the agent that NAMES asks for. Throws `denied` where none is lent. */
export async function openAgent(
  { ssh: id }: GitAuthNames,
  agents: SshSockets,
  temporary: (kind: string) => string,
): Promise<SshSocket | undefined> {
  if (id === undefined) return undefined;
  const directory = temporary("ssh");
  if (directory.length > SOCKET_DIRECTORY_LENGTH_MAX)
    throw new EngineError("unsupported", `the name of the state directory is too long for sockets: ${directory}`);
  const socket = await agents.open(id, directory);
  if (socket !== undefined) return socket;
  throw new EngineError("denied", `no SSH key ${JSON.stringify(id)} forwarded from the client`, {
    hint: `lend the build an agent: --ssh ${id}`,
  });
}

/** A socket's path has room for 107 bytes. */
const SOCKET_DIRECTORY_LENGTH_MAX = 96;
