import { generateKeyPairSync, randomBytes, scryptSync } from "node:crypto";
import nacl from "tweetnacl";

/** A new key for tests, in PEM. */
export function newKey(): { readonly privateKey: string; readonly publicKey: string; readonly der: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    publicKey: publicKey.export({ format: "pem", type: "spki" }).toString(),
    der: privateKey.export({ format: "der", type: "pkcs8" }),
  };
}

/** DER as `cosign generate-key-pair` writes it; CHANGES take the place of scrypt's parameters. */
export function sigstoreKey(der: Buffer, passphrase: string, changes: object = {}): string {
  const params = { N: 1024, r: 8, p: 1 };
  const salt = randomBytes(32);
  const nonce = randomBytes(24);
  const secret = scryptSync(passphrase, salt, 32, params);
  const box = nacl.secretbox(new Uint8Array(der), new Uint8Array(nonce), new Uint8Array(secret));
  const document = {
    kdf: { name: "scrypt", params: { ...params, ...changes }, salt: salt.toString("base64") },
    cipher: { name: "nacl/secretbox", nonce: nonce.toString("base64") },
    ciphertext: Buffer.from(box).toString("base64"),
  };
  const lines =
    Buffer.from(JSON.stringify(document))
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  const label = "ENCRYPTED SIGSTORE PRIVATE KEY";
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
