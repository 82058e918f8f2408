import { type Digest, EngineError } from "../base/index.js";
import type { SigningKey } from "./signing-key.js";

/** The media type of a Sigstore bundle, which is also the type of the artifact that holds one. */
export const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
/** What a bundle says of an image: that it was signed. */
export const SIGN_PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1";

/** The statement that a bundle of the image SUBJECT holds (in-toto Statement v1), the same each time. */
export function signStatement(subject: Digest): Buffer {
  const [algorithm = "", hex = ""] = subject.split(":");
  const statement = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ digest: { [algorithm]: hex } }],
    predicateType: SIGN_PREDICATE_TYPE,
    predicate: {},
  };
  return Buffer.from(JSON.stringify(statement));
}

/**
 * A Sigstore bundle that holds STATEMENT in an envelope (DSSE) signed by KEY; no transparency log is told. Throws `unsupported` where
 * sigstore-js, an optional dependency, is not installed.
 */
export async function createBundle(statement: Buffer, key: SigningKey): Promise<Buffer> {
  const { sign, bundle } = await loadSigstore();
  const signer = {
    sign: async (data: Buffer) => ({
      signature: key.sign(data),
      key: { $case: "publicKey", publicKey: key.publicKey, hint: key.hint } as const,
    }),
  };
  const builder = new sign.DSSEBundleBuilder({ signer, witnesses: [] });
  const made = await builder.create({ data: statement, type: STATEMENT_TYPE });
  // sigstore-js repeats the key's hint here; verifiers in Go take it for another kind of id, and pass over a signature whose id differs.
  for (const signature of made.content.dsseEnvelope.signatures) signature.keyid = "";
  return Buffer.from(JSON.stringify(bundle.bundleToJSON(made)));
}

/** Whether TEXT is a bundle of STATEMENT that KEY has signed. What is none is not. */
export function isBundleOf(text: Uint8Array, statement: Buffer, key: SigningKey): boolean {
  try {
    const { dsseEnvelope } = JSON.parse(Buffer.from(text).toString("utf8"));
    const payload = Buffer.from(dsseEnvelope.payload, "base64");
    const signature = Buffer.from(dsseEnvelope.signatures[0].sig, "base64");
    return payload.equals(statement) && key.verify(signedBytes(dsseEnvelope.payloadType, payload), signature);
  } catch {
    return false;
  }
}

const STATEMENT_TYPE = "application/vnd.in-toto+json";

/** DSSE's pre-authentication encoding. */
function signedBytes(type: string, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

/** Loads sigstore-js, before there is something to sign; throws as `createBundle`. */
export async function prepareSigning(): Promise<void> {
  await loadSigstore();
}

// Not exported: sigstore-js is optional, so its types must not be among those of the package.
async function loadSigstore() {
  try {
    const [sign, bundle] = await Promise.all([import("@sigstore/sign"), import("@sigstore/bundle")]);
    return { sign, bundle };
  } catch (cause) {
    throw new EngineError("unsupported", "images can't be signed: sigstore-js is not installed", {
      cause,
      hint: "npm install @sigstore/sign @sigstore/bundle, or install ashlar without --omit=optional",
    });
  }
}
