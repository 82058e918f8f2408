import crypto, { type KeyObject } from "node:crypto";
import { EngineError } from "../base/index.js";
import { mpint, Reader, string } from "./ssh-wire.js";

/** A private key that signs. */
export interface SshKey {
  /** The public key as SSH writes it (RFC 4253, section 6.6): what tells keys apart. */
  readonly blob: Buffer;
  readonly comment: string;
  /** A signature of DATA with its algorithm's name before it. FLAGS are the agent protocol's: which hash RSA takes. */
  sign(data: Uint8Array, flags: number): Buffer;
}

/** draft-miller-ssh-agent, section 5.3. */
const RSA_SHA2_256 = 2;
const RSA_SHA2_512 = 4;

/** The private key in the TEXT of the file PATH: PEM or OpenSSH's own format. Throws `unsupported` for an encrypted one, `invalid` for no key. */
export async function parseSshKey(text: string, path: string): Promise<SshKey> {
  if (isEncrypted(text)) {
    throw new EngineError("unsupported", `the SSH key ${path} is encrypted with a passphrase`, {
      hint: "add it to an agent (ssh-add) and forward that one: --ssh default",
    });
  }
  const { key, comment } = await readKey(text, path);
  const shape = shapeOf(key);
  if (!shape) throw new EngineError("unsupported", `the SSH key ${path} is neither RSA, ECDSA nor Ed25519`);
  return { blob: shape.blob, comment, sign: (data, flags) => shape.sign(data, flags) };
}

const OPENSSH = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END OPENSSH PRIVATE KEY-----/;
const OPENSSH_MAGIC = "openssh-key-v1\0";

function isEncrypted(text: string): boolean {
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: *4,ENCRYPTED/m.test(text)) return true;
  const body = Buffer.from(OPENSSH.exec(text)?.[1] ?? "", "base64");
  if (!body.toString("latin1").startsWith(OPENSSH_MAGIC)) return false;
  return new Reader(body.subarray(OPENSSH_MAGIC.length)).string()?.toString() !== "none";
}

async function readKey(text: string, path: string): Promise<{ readonly key: KeyObject; readonly comment: string }> {
  try {
    if (!OPENSSH.test(text)) return { key: crypto.createPrivateKey(text), comment: "" };
    const { default: ssh2 } = await import("ssh2");
    const parsed = ssh2.utils.parseKey(text);
    if (parsed instanceof Error) throw parsed;
    const [first] = [parsed].flat();
    if (!first) throw new Error("no key");
    return { key: crypto.createPrivateKey(first.getPrivatePEM()), comment: first.comment };
  } catch (cause) {
    // What a parser says may quote the key.
    throw new EngineError("invalid", `failed to parse ${path}: no private key that is known`, {
      cause: cause instanceof EngineError ? cause : undefined,
      hint: "it has to be a private key in PEM or OpenSSH's format, or the socket of an agent",
    });
  }
}

interface KeyShape {
  readonly blob: Buffer;
  sign(data: Uint8Array, flags: number): Buffer;
}

const CURVES: Readonly<Record<string, { readonly name: string; readonly hash: string }>> = {
  "P-256": { name: "nistp256", hash: "sha256" },
  "P-384": { name: "nistp384", hash: "sha384" },
  "P-521": { name: "nistp521", hash: "sha512" },
};

function shapeOf(key: KeyObject): KeyShape | undefined {
  if (!["rsa", "ec", "ed25519"].includes(key.asymmetricKeyType ?? "")) return undefined;
  const jwk = crypto.createPublicKey(key).export({ format: "jwk" });
  const part = (name: "n" | "e" | "x" | "y") => Buffer.from(jwk[name] ?? "", "base64url");
  switch (key.asymmetricKeyType) {
    case "rsa":
      return { blob: Buffer.concat([string("ssh-rsa"), mpint(part("e")), mpint(part("n"))]), sign: rsaSigner(key) };
    case "ed25519":
      return {
        blob: Buffer.concat([string("ssh-ed25519"), string(part("x"))]),
        sign: (data) => Buffer.concat([string("ssh-ed25519"), string(crypto.sign(null, data, key))]),
      };
    default: {
      const curve = CURVES[jwk.crv ?? ""];
      if (!curve) return undefined;
      const type = `ecdsa-sha2-${curve.name}`;
      const point = Buffer.concat([Buffer.from([4]), part("x"), part("y")]);
      return {
        blob: Buffer.concat([string(type), string(curve.name), string(point)]),
        sign: (data) => {
          const pair = crypto.sign(curve.hash, data, { key, dsaEncoding: "ieee-p1363" });
          const half = pair.length / 2;
          const numbers = Buffer.concat([mpint(pair.subarray(0, half)), mpint(pair.subarray(half))]);
          return Buffer.concat([string(type), string(numbers)]);
        },
      };
    }
  }
}

function rsaSigner(key: KeyObject): KeyShape["sign"] {
  return (data, flags) => {
    const [name, hash] =
      flags & RSA_SHA2_512
        ? ["rsa-sha2-512", "sha512"]
        : flags & RSA_SHA2_256
          ? ["rsa-sha2-256", "sha256"]
          : ["ssh-rsa", "sha1"];
    return Buffer.concat([string(name), string(crypto.sign(hash, data, key))]);
  };
}
