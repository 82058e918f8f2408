import { scrypt } from "node:crypto";
import { promisify } from "node:util";
import * as v from "valibot";
import { EngineError } from "../base/index.js";

/** Whether TEXT is a private key as `cosign generate-key-pair` writes it. */
export function isSigstoreKey(text: string): boolean {
  return PEM.test(text);
}

/**
 * Decrypts a key of cosign (go-securesystemslib's form: scrypt and NaCl's secretbox in JSON); PKCS#8 in DER. Throws `invalid` for a
 * malformed one, `denied` where the passphrase is wrong.
 */
export async function openSigstoreKey(text: string, passphrase: string): Promise<Buffer> {
  const { kdf, cipher, ciphertext } = parse(PEM.exec(text)?.[1] ?? "");
  const { N, r, p } = kdf.params;
  const salt = Buffer.from(kdf.salt, "base64");
  const maxmem = 2 * SCRYPT_BLOCK_BYTES * N * r;
  const secret = await promisify<string, Buffer, number, object, Buffer>(scrypt)(passphrase, salt, SECRET_BYTES, {
    N,
    r,
    p,
    maxmem,
  });
  const { default: nacl } = await import("tweetnacl");
  const nonce = new Uint8Array(Buffer.from(cipher.nonce, "base64"));
  if (nonce.length !== nacl.secretbox.nonceLength) throw malformed();
  const box = new Uint8Array(Buffer.from(ciphertext, "base64"));
  const opened = nacl.secretbox.open(box, nonce, new Uint8Array(secret));
  if (!opened)
    throw new EngineError(
      "denied",
      passphrase === ""
        ? "the signing key is encrypted, and there is no passphrase for it"
        : "the passphrase does not open the signing key",
    );
  return Buffer.from(opened);
}

const PEM =
  /-----BEGIN ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY-----/;
const SECRET_BYTES = 32;
/** What scrypt needs for each of N times r. Bytes. */
const SCRYPT_BLOCK_BYTES = 128;
/** Cosign writes 32768 or 65536; more than this would only be there to take our memory. */
const SCRYPT_COST_MAX = 1 << 18;
const SCRYPT_BLOCKS_MAX = 8;
const SCRYPT_PARALLEL_MAX = 4;

const whole = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max));
const keySchema = v.object({
  kdf: v.object({
    name: v.literal("scrypt"),
    params: v.object({
      N: v.pipe(
        whole(SCRYPT_COST_MAX),
        v.check((cost) => cost > 1 && Math.log2(cost) % 1 === 0),
      ),
      r: whole(SCRYPT_BLOCKS_MAX),
      p: whole(SCRYPT_PARALLEL_MAX),
    }),
    salt: v.string(),
  }),
  cipher: v.object({ name: v.literal("nacl/secretbox"), nonce: v.string() }),
  ciphertext: v.string(),
});

function parse(base64: string): v.InferOutput<typeof keySchema> {
  try {
    return v.parse(keySchema, JSON.parse(Buffer.from(base64, "base64").toString("utf8")));
  } catch {
    throw malformed();
  }
}

function malformed(): EngineError {
  return new EngineError("invalid", "the signing key can't be read: it is malformed");
}
