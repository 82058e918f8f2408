import { generateKeyPairSync, verify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSigningKey } from "../../src/sign/index.js";
import { newKey, sigstoreKey } from "./keys.js";

const read = (pem: string, passphrase?: string) => readSigningKey(Buffer.from(pem), passphrase);
const DATA = Buffer.from("what is signed");

async function signs(pem: string, publicKey: string, passphrase?: string): Promise<boolean> {
  const key = await read(pem, passphrase);
  const signature = key.sign(DATA);
  expect(key.publicKey).toBe(publicKey);
  expect(key.verify(DATA, signature)).toBe(true);
  expect(key.verify(Buffer.from("else"), signature)).toBe(false);
  return verify("sha256", DATA, publicKey, signature);
}

describe("a signing key", () => {
  it("is read in each form that tools write", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const spki = publicKey.export({ format: "pem", type: "spki" }).toString();
    const pkcs8 = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    const sec1 = privateKey.export({ format: "pem", type: "sec1" }).toString();
    const locked = privateKey.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "p" });
    expect(await signs(pkcs8, spki)).toBe(true);
    expect(await signs(sec1, spki)).toBe(true);
    expect(await signs(locked.toString(), spki, "p")).toBe(true);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pkcs1 = rsa.privateKey.export({ format: "pem", type: "pkcs1" }).toString();
    expect(await signs(pkcs1, rsa.publicKey.export({ format: "pem", type: "spki" }).toString())).toBe(true);
  });

  it("of cosign is opened by its passphrase, an empty one too", async () => {
    const { der, publicKey } = newKey();
    expect(await signs(sigstoreKey(der, "open sesame"), publicKey, "open sesame")).toBe(true);
    expect(await signs(sigstoreKey(der, ""), publicKey)).toBe(true);
    const cosign = sigstoreKey(der, "p").replaceAll("SIGSTORE", "COSIGN");
    expect(await signs(cosign, publicKey, "p")).toBe(true);
  });

  it("is refused with the reason where the passphrase is wrong or missing", async () => {
    const { der } = newKey();
    const locked = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      privateKeyEncoding: { format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "right" },
      publicKeyEncoding: { format: "pem", type: "spki" },
    }).privateKey;
    for (const pem of [sigstoreKey(der, "right"), locked]) {
      await expect(read(pem, "wrong")).rejects.toMatchObject({ code: "denied", message: /does not open/ });
      await expect(read(pem)).rejects.toMatchObject({ code: "denied", message: /there is no passphrase/ });
    }
  });

  it("of a kind that verifiers read otherwise is refused by name", async () => {
    const pem = (key: ReturnType<typeof generateKeyPairSync>["privateKey"]) =>
      (key as never as { export(options: object): string }).export({ format: "pem", type: "pkcs8" }).toString();
    const cases = [
      [generateKeyPairSync("ed25519"), "ed25519 key"],
      [generateKeyPairSync("ec", { namedCurve: "P-384" }), "curve secp384r1"],
      [generateKeyPairSync("rsa", { modulusLength: 1024 }), "rsa key"],
    ] as const;
    for (const [{ privateKey }, words] of cases)
      await expect(read(pem(privateKey as never))).rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringContaining(words),
      });
    await expect(
      read("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"),
    ).rejects.toMatchObject({ code: "unsupported" });
    await expect(read(newKey().publicKey)).rejects.toMatchObject({ message: /holds a public key/ });
  });

  it("that asks for more memory than any tool would is refused", async () => {
    const { der } = newKey();
    for (const changes of [{ N: 2 ** 30 }, { r: 4096 }, { p: 1_000_000 }, { N: 1000 }, { N: "1024" }])
      await expect(read(sigstoreKey(der, "p", changes), "p")).rejects.toMatchObject({ code: "invalid" });
    await expect(readSigningKey(Buffer.alloc(100_000), undefined)).rejects.toMatchObject({ code: "invalid" });
  });

  it("that makes no sense is refused without a word of it", async () => {
    const { privateKey, der } = newKey();
    const lines = sigstoreKey(der, "p").split("\n");
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(privateKey.split("\n"), lines),
        fc.nat(4),
        fc.nat(60),
        async (text, line, at) => {
          const broken = text.map((each, i) => (i === line % text.length ? each.slice(0, at) : each)).join("\n");
          const error = await read(broken, "p").then(
            () => undefined,
            (failure: Error) => failure,
          );
          if (error === undefined) return;
          expect(error).toMatchObject({ name: "EngineError" });
          for (const each of text.filter((part) => part.length > 20 && !part.startsWith("-")))
            expect(`${error.message}${error.cause ?? ""}`).not.toContain(each.slice(0, 16));
        },
      ),
      { numRuns: 50 },
    );
  });
});
