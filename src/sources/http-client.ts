import { rootCertificates } from "node:tls";
import { readRegularFile } from "../base/index.js";
import { createHttpClient, type HttpClient, type ProxyOptions } from "../registry/index.js";

/** Which certificate authorities are trusted beside this program's own list. */
export interface TrustOptions {
  /** In place of the system's list: what SSL_CERT_FILE names. */
  readonly file?: string | undefined;
  /** In addition: what NODE_EXTRA_CA_CERTS names. */
  readonly extraFile?: string | undefined;
}

/** A client for any address. The system's certificate authorities are trusted; nothing is read or opened before the first request. */
export function createWebClient(trust: TrustOptions, proxy: ProxyOptions | undefined): HttpClient {
  let client: Promise<HttpClient> | undefined;
  const open = async () =>
    createHttpClient({ scheme: "https", ca: await trustedAuthorities(trust) }, { proxy, redirects: "any" });
  return {
    async send(request) {
      client ??= open();
      return (await client).send(request);
    },
    async close() {
      await (await client)?.close();
    },
  };
}

/** Where Linux distributions keep the certificate authorities that the administrator trusts. */
const SYSTEM_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
/** Bytes of a file of certificates. */
const CERTIFICATES_BYTES_MAX = 16 << 20;

/** The certificate authorities to trust, in PEM, one after another. */
export async function trustedAuthorities({ file, extraFile }: TrustOptions): Promise<string> {
  const named = await firstFile(file === undefined || file === "" ? SYSTEM_FILES : [file]);
  const extra = await firstFile(extraFile === undefined || extraFile === "" ? [] : [extraFile]);
  return [named ?? rootCertificates.join("\n"), extra ?? ""].join("\n");
}

/** What the first of FILES that can be read holds. As elsewhere, one that can't be read is no error: its certificates are missing. */
async function firstFile(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const text = await readRegularFile(file, CERTIFICATES_BYTES_MAX).catch(() => undefined);
    if (text !== undefined) return text.toString("utf8");
  }
  return undefined;
}
