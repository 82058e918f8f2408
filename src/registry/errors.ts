import { type AbortOptions, canceled, EngineError, messageOf } from "../base/index.js";
import type { HttpResponse } from "./http.js";

/** A failure that may be gone when one tries again. */
export class TransientError extends EngineError {
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options?: ErrorOptions & { readonly retryAfterMs?: number | undefined }) {
    super("unavailable", message, options);
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** There is nobody, or nobody who speaks TLS. */
export class ConnectionError extends EngineError {}

/** A request to a host, and what it was for: `resolving docker.io/library/alpine:3`. */
export interface Purpose extends AbortOptions {
  readonly what?: string | undefined;
}

/** What went wrong on the way to HOST, which is named once. */
export function transportError(cause: unknown, host: string, { signal, what }: Purpose): EngineError {
  if (signal?.aborted) return canceled(signal);
  if (cause instanceof EngineError) return cause;
  return toldOf(what?.includes(host) ? what : host, cause, host);
}

function toldOf(subject: string, cause: unknown, host: string): EngineError {
  const code = String((cause as { code?: unknown } | undefined)?.code ?? "");
  if (CERTIFICATE_ERRORS.has(code)) {
    return new EngineError("unavailable", `${subject}: the certificate can't be trusted: ${messageOf(cause)}`, {
      cause,
      hint: `put its certificate authority into /etc/docker/certs.d/${host}/ca.crt`,
    });
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return new ConnectionError("unavailable", `${subject}: server gave HTTP response to HTTPS client`, {
      cause,
      hint: `a registry in the clear is named in registries.toml: http = true under [registry."${host}"]`,
    });
  }
  if (code === "UND_ERR_DESTROYED")
    return new EngineError("canceled", `${subject}: the connection was closed`, { cause });
  if (code === "ENOTFOUND") return new EngineError("unavailable", `${subject}: no such host`, { cause });
  if (code === "ECONNREFUSED") return new ConnectionError("unavailable", `${subject}: connection refused`, { cause });
  if (code === "UND_ERR_BODY_TIMEOUT") return new TransientError(`${subject}: nothing arrives any more`, { cause });
  if (code === "UND_ERR_HEADERS_TIMEOUT") return new TransientError(`${subject}: no answer`, { cause });
  return new TransientError(`${subject}: ${messageOf(cause)}`, { cause });
}

/**
 * What a response that is no success means. WHAT was being done: `resolving docker.io/library/alpine:3`, and with which ACCESS to a
 * repository. Reads the body.
 */
export async function statusError(
  response: HttpResponse,
  what: string,
  access?: "pull" | "push",
): Promise<EngineError> {
  const said = await serverMessage(response);
  const detail = said === "" ? "" : `: ${said}`;
  const { status } = response;
  const shown = `unexpected status from ${response.method} request to ${response.url.origin}${response.url.pathname}: ${status}`;
  if (status === 401) {
    const denied =
      access === undefined
        ? "access denied"
        : `${access} access denied, repository does not exist or may require authorization`;
    return new EngineError("denied", `${what}: ${denied}${said === "" ? "" : `: server message: ${said}`}`);
  }
  if (status === 403) return new EngineError("denied", `${what}: ${shown}${detail}`);
  if (status === 404) return new EngineError("not-found", `${what}: not found`);
  if (status === 429) {
    const limited = said.includes("toomanyrequests") ? said : `toomanyrequests${detail}`;
    return new TransientError(`${what}: ${limited}`, { retryAfterMs: retryAfter(response) });
  }
  if (status === 408 || status >= 500) {
    return new TransientError(`${what}: ${shown}${detail}`, { retryAfterMs: retryAfter(response) });
  }
  return new EngineError("failed", `${what}: ${shown}${detail}`);
}

/** The longest a server may make us wait. Milliseconds. */
const RETRY_AFTER_MS_MAX = 60_000;
/** Bytes of an error's body that are looked at, and characters of it that are shown. */
const ERROR_BODY_BYTES_MAX = 64 * 1024;
const ERROR_TEXT_LENGTH_MAX = 400;

const CERTIFICATE_ERRORS: ReadonlySet<string> = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** How long the server asks to wait (RFC 9110, 10.2.3: seconds, or a date, by the server's own clock), in milliseconds, within bounds. */
export function retryAfter(response: HttpResponse): number | undefined {
  const text = response.header("retry-after") ?? "";
  const pauseMs = /^\d{1,9}$/.test(text)
    ? Number(text) * 1000
    : Date.parse(text) - Date.parse(response.header("date") ?? "");
  return Number.isNaN(pauseMs) ? undefined : Math.min(Math.max(pauseMs, 0), RETRY_AFTER_MS_MAX);
}

/** The words of the server's errors (distribution-spec, error codes), on one line, fit for a terminal, and without what we told it. */
async function serverMessage(response: HttpResponse): Promise<string> {
  const body = await response.text(ERROR_BODY_BYTES_MAX).catch(() => "");
  return printable(response.masked(wordsOf(body)));
}

function wordsOf(body: string): string {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    // A page, or a document that ends too early, is nothing to read in an error.
    return /^\s*[<{[]/.test(body) ? "" : body;
  }
  const { errors, ...others } = (document ?? {}) as Readonly<Record<string, unknown>>;
  if (!Array.isArray(errors)) {
    return (
      (OTHER_MEMBERS.map((name) => others[name]).find((value) => typeof value === "string") as string | undefined) ?? ""
    );
  }
  const words = errors.slice(0, ERRORS_MAX).map((error: { code?: unknown; message?: unknown } | null) =>
    [error?.code, error?.message]
      .filter((part) => typeof part === "string" && part !== "")
      .join(": ")
      .replace(/^TOOMANYREQUESTS/, "toomanyrequests"),
  );
  return words.join("; ");
}

/** Errors of one answer that are shown. */
const ERRORS_MAX = 5;
/** Where token servers and proxies say what is wrong, in place of `errors`. */
const OTHER_MEMBERS = ["message", "details", "error_description", "error"];

function printable(text: string): string {
  const oneLine = text.replace(/[\s\p{C}]+/gu, " ").trim();
  return oneLine.length > ERROR_TEXT_LENGTH_MAX ? `${oneLine.slice(0, ERROR_TEXT_LENGTH_MAX)}…` : oneLine;
}
