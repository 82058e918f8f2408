/** What stands for a credential in texts for people. */
const MASK = "xxxxx";

/**
 * TEXT without the credentials of the addresses in it: `https://xxxxx@host/`. The name alone before a host of ssh is no secret, and
 * stays.
 */
export function redactCredentials(text: string): string {
  return text.replace(CREDENTIALS, (whole, scheme: string, user: string) =>
    scheme.toLowerCase() !== "ssh"
      ? `${scheme}://${MASK}@`
      : user.includes(":")
        ? `ssh://${user.split(":")[0]}@`
        : whole,
  );
}

const CREDENTIALS = /\b([a-z][a-z0-9+.-]{0,20}):\/\/([^\s/?#@'"]{1,1024}(?:@[^\s/?#@'"]{1,1024})*)@/gi;
