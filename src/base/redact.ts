import { mayBeSecret } from "./secret-names.js";

/** What stands for a credential in texts for people. */
const MASK = "xxxxx";

/**
 * TEXT without the credentials of the addresses in it: `https://xxxxx@host/`, and those that parameters hold, by their names:
 * `https://host/?token=xxxxx`. The name alone before a host of ssh is no secret, and stays.
 */
export function redactCredentials(text: string): string {
  const withoutUsers = text.replace(CREDENTIALS, (whole, scheme: string, user: string) =>
    scheme.toLowerCase() !== "ssh"
      ? `${scheme}://${MASK}@`
      : user.includes(":")
        ? `ssh://${user.split(":")[0]}@`
        : whole,
  );
  if (!withoutUsers.includes("?")) return withoutUsers;
  return withoutUsers.replace(QUERY, (_, address: string, query: string) => {
    const hidden = query.replace(PARAMETER, (whole, name: string) =>
      isSecretParameter(name) ? `${name}=${MASK}` : whole,
    );
    return `${address}?${hidden}`;
  });
}

const CREDENTIALS = /\b([a-z][a-z0-9+.-]{0,20}):\/\/([^\s/?#@'"]{1,1024}(?:@[^\s/?#@'"]{1,1024})*)@/gi;
const QUERY = /\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s?#'"]{1,2048})\?([^\s#'"]{1,8192})/gi;
const PARAMETER = /([^&=;]+)=([^&;]+)/g;

/** Also those of signed addresses: `sig`, `X-Amz-Signature`, `X-Goog-Credential`. */
function isSecretParameter(name: string): boolean {
  return /^(?:sig|jwt)$|signature/i.test(name) || mayBeSecret(name.replaceAll("-", "_"));
}
