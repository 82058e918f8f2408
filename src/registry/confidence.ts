import type { HttpRequest } from "./http.js";

/** What stands for a credential in texts for people. */
const MASK = "xxxxx";
/** A secret this short is only looked for as a word of its own, as it may be part of any other. Characters. */
const SHORT_SECRET_LENGTH = 4;
/** Fields of a form by which a token is asked for that say who asks. */
const SECRET_FIELDS = ["password", "refresh_token"];

/** Masks in a text what REQUEST says in confidence: servers repeat it in what they complain of. */
export function masking(request: Pick<HttpRequest, "headers" | "body">): (text: string) => string {
  const secrets = secretsOf(request).sort((a, b) => b.length - a.length);
  return (text) => secrets.reduce(masked, text).replace(AUTHORIZATION, `$1 ${MASK}`);
}

/** A header that was meant for others, say for a proxy's own registry: credentials of Basic, and tokens, are this long at least. */
const AUTHORIZATION = /\b(basic|bearer)\s+(?:[A-Za-z0-9+/]{4,}={1,2}(?![A-Za-z0-9+/=])|[A-Za-z0-9+/._~-]{24,}=*)/gi;

function secretsOf({ headers, body }: Pick<HttpRequest, "headers" | "body">): string[] {
  const [scheme = "", value = ""] = (headers.authorization ?? "").split(" ");
  const password = scheme.toLowerCase() === "basic" ? passwordOf(value) : "";
  const form = new URLSearchParams(body?.kind === "secret" ? body.text : "");
  const fields = SECRET_FIELDS.map((name) => form.get(name) ?? "");
  const spelled = [password, ...fields].flatMap((secret) => [secret, encodeURIComponent(secret)]);
  return [value, ...spelled].filter((secret) => secret !== "");
}

function passwordOf(encoded: string): string {
  return Buffer.from(encoded, "base64")
    .toString()
    .replace(/^[^:]*:/, "");
}

function masked(text: string, secret: string): string {
  if (secret.length >= SHORT_SECRET_LENGTH) return text.replaceAll(secret, MASK);
  return text
    .split(/(\w+)/)
    .map((word) => (word === secret ? MASK : word))
    .join("");
}
