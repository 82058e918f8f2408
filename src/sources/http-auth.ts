import { Buffer } from "node:buffer";
import { type AbortOptions, EngineError } from "../base/index.js";
import type { Secrets } from "../session/index.js";

/** Names of secrets that are sent to a host, as BuildKit has them; the host's name follows, without a port. */
const HEADER_SECRET = "HTTP_AUTH_HEADER_";
const TOKEN_SECRET = "HTTP_AUTH_TOKEN_";

/**
 * The Authorization header for URL: of the secrets `HTTP_AUTH_TOKEN_<host>` and `HTTP_AUTH_HEADER_<host>`, else of the address itself.
 * Undefined if there is nothing to say. Errors: those of the secrets, `invalid` for one that is no header.
 */
export async function httpAuthorization(
  url: URL,
  secrets: Secrets,
  options: AbortOptions = {},
): Promise<string | undefined> {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const token = await secretLine(secrets, TOKEN_SECRET + host, options);
  if (token !== undefined) return `Bearer ${token}`;
  return (await secretLine(secrets, HEADER_SECRET + host, options)) ?? basicAuthorization(url);
}

/** `Basic …` of the user and the password in URL, if it has any. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString("base64")}`;
}

/** A secret that goes into a header: one line, whose end a file may have. Its text is never part of an error. */
export async function secretLine(
  secrets: Secrets,
  id: string,
  options: AbortOptions = {},
): Promise<string | undefined> {
  const bytes = await secrets.get(id, options);
  if (bytes === undefined) return undefined;
  const text = Buffer.from(bytes)
    .toString("utf8")
    .replace(/[\r\n]+$/, "");
  if (CONTROL.test(text))
    throw new EngineError("invalid", `secret ${id}: it can't be sent, since it is not one line of text`);
  return text;
}

const CONTROL = /\p{Cc}/u;

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
