import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { EngineError } from "../base/index.js";
import { isSigstoreKey, openSigstoreKey } from "./sigstore-key.js";

/** A private key, which nobody gets to see: it signs, and that is all. */
export interface SigningKey {
  /** The other half, as `cosign verify --key` reads it: SPKI in PEM. */
  readonly publicKey: string;
  /** By what a bundle names it: the digest of the public key (SPKI in DER), in base64. */
  readonly hint: string;
  /** ECDSA (DER) or RSA PKCS#1 v1.5, of DATA's SHA-256. */
  sign(data: Uint8Array): Buffer;
  /** Whether SIGNATURE is this key's of DATA. */
  verify(data: Uint8Array, signature: Uint8Array): boolean;
}

/** Bytes of a key file. */
export const KEY_BYTES_MAX = 64 * 1024;

/**
 * Reads a private key in PEM: one of `cosign generate-key-pair`, PKCS#8 (also encrypted), SEC 1 or PKCS#1. Throws `invalid` for what is no
 * such key, `unsupported` for a kind that verifiers don't take, `denied` where the passphrase is missing or wrong. No error tells of the key.
 */
export async function readSigningKey(pem: Uint8Array, passphrase: string | undefined): Promise<SigningKey> {
  if (pem.length > KEY_BYTES_MAX)
    throw new EngineError("invalid", `the signing key is larger than ${KEY_BYTES_MAX} bytes`);
  const text = Buffer.from(pem).toString("latin1");
  const key = isSigstoreKey(text)
    ? parseKey({ key: await openSigstoreKey(text, passphrase ?? ""), format: "der", type: "pkcs8" })
    : readPem(text, passphrase);
  checkKind(key);
  return new Key(key);
}

class Key implements SigningKey {
  readonly publicKey: string;
  readonly hint: string;
  readonly #private: KeyObject;
  readonly #public: KeyObject;

  constructor(key: KeyObject) {
    this.#private = key;
    this.#public = createPublicKey(key);
    this.publicKey = this.#public.export({ format: "pem", type: "spki" }).toString();
    const der = this.#public.export({ format: "der", type: "spki" });
    this.hint = createHash("sha256").update(der).digest("base64");
  }

  sign(data: Uint8Array): Buffer {
    return sign("sha256", data, this.#private);
  }

  verify(data: Uint8Array, signature: Uint8Array): boolean {
    return verify("sha256", data, this.#public, signature);
  }
}

function readPem(text: string, passphrase: string | undefined): KeyObject {
  const [, label] = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(text) ?? [];
  if (label === undefined) throw new EngineError("invalid", "the signing key is not in PEM form");
  if (!label.endsWith("PRIVATE KEY"))
    throw new EngineError("invalid", `the signing key's file holds a ${label.toLowerCase()}, not a private key`);
  if (label === "OPENSSH PRIVATE KEY")
    throw new EngineError("unsupported", "keys in OpenSSH's form can't sign images", {
      hint: "make one with cosign generate-key-pair, or with openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    });
  const isEncrypted = label.startsWith("ENCRYPTED") || /^Proc-Type: 4,ENCRYPTED/m.test(text);
  if (!isEncrypted) return parseKey({ key: text, format: "pem" });
  if (passphrase === undefined || passphrase === "")
    throw new EngineError("denied", "the signing key is encrypted, and there is no passphrase for it");
  return parseKey({ key: text, format: "pem", passphrase }, "the passphrase does not open the signing key");
}

/** What the library says of a malformed key is left out: it might quote it. */
function parseKey(input: Parameters<typeof createPrivateKey>[0], refusal?: string): KeyObject {
  try {
    return createPrivateKey(input);
  } catch {
    throw refusal === undefined
      ? new EngineError("invalid", "the signing key can't be read: it is malformed")
      : new EngineError("denied", refusal);
  }
}

const RSA_BITS_MIN = 2048;

/** Those for which signing with SHA-256 is what every verifier expects by itself. */
function checkKind({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): void {
  if (type === "ec" && details.namedCurve === "prime256v1") return;
  if (type === "rsa" && (details.modulusLength ?? 0) >= RSA_BITS_MIN) return;
  const kind = type === "ec" ? `EC key of the curve ${details.namedCurve}` : `${type} key`;
  throw new EngineError(
    "unsupported",
    `images are signed with EC keys of the curve P-256 or RSA keys of ${RSA_BITS_MIN} bits or more: this is an ${kind}`,
  );
}
