import { verify } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { digestOf, systemClock } from "../../src/base/index.js";
import { type Descriptor, type Provider, parseReference } from "../../src/oci/index.js";
import { createRegistry, pushImage, type Repository } from "../../src/registry/index.js";
import { imagesToSign, readSigningKey, type SigningKey, signImage } from "../../src/sign/index.js";
import { rootOf, type TestImage, testImage, testIndex } from "../registry/docker-registry.js";
import { type SpecManners, startSpecServer } from "../registry/spec-server.js";
import type { UploadServer } from "../registry/upload-server.js";
import { newKey } from "./keys.js";

const image = testImage(["layer"], { os: "linux", architecture: "amd64" });
const root = rootOf(image);
const SIG_TAG = `sha256-${root.digest.slice("sha256:".length)}.sig`;
const FALLBACK_TAG = `sha256-${root.digest.slice("sha256:".length)}`;
const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";

const { privateKey, publicKey } = newKey();
let key: SigningKey;
beforeEach(async () => {
  key = await readSigningKey(Buffer.from(privateKey), undefined);
});

/** Everything of IMAGE. */
function providerOf({ blobs, documents }: TestImage): Provider {
  const known = new Map<string, Uint8Array>(
    [...blobs, ...documents.map(({ bytes }) => bytes)].map((bytes) => [digestOf(bytes), bytes]),
  );
  return {
    async *read({ digest }, { offset = 0 } = {}) {
      yield (known.get(digest) ?? Buffer.alloc(0)).subarray(offset);
    },
  };
}

/** Signs IMAGE, which is pushed before, in a registry of such manners. */
async function withSigned(
  manners: SpecManners,
  look: (server: UploadServer, repository: Repository) => Promise<unknown>,
  pushed: TestImage = image,
): Promise<void> {
  await using server = await startSpecServer(manners);
  await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [0, 0] });
  const repository = registry.repository(parseReference(`${server.name}/app`));
  await pushImage(repository, rootOf(pushed), providerOf(pushed), { tags: ["1"] });
  await look(server, repository);
}

const json = (bytes: Buffer | undefined) => JSON.parse(bytes?.toString() ?? "null");

/** What cosign does with the tag of signatures: each one's payload, and whether it is the key's. */
function simpleSignatures(server: UploadServer, tag = SIG_TAG) {
  const { layers } = json(server.manifests.get(tag));
  return layers.map((layer: Descriptor) => {
    expect(layer.mediaType).toBe("application/vnd.dev.cosign.simplesigning.v1+json");
    const payload = server.blobs.get(layer.digest) ?? Buffer.alloc(0);
    const signature = Buffer.from(layer.annotations?.["dev.cosignproject.cosign/signature"] ?? "", "base64");
    return { payload: json(payload), isValid: verify("sha256", payload, publicKey, signature) };
  });
}

/** What cosign 3 does with a manifest that refers to an image: it wants one layer that is a bundle. */
function bundleIn(server: UploadServer, digest: string) {
  const { layers, subject, artifactType } = json(server.manifests.get(digest));
  expect(artifactType).toBe(BUNDLE);
  expect(layers).toMatchObject([{ mediaType: BUNDLE }]);
  const { mediaType, verificationMaterial, dsseEnvelope } = json(server.blobs.get(layers[0].digest));
  const payload = Buffer.from(dsseEnvelope.payload, "base64");
  const type = "application/vnd.in-toto+json";
  const signed = Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} ${payload}`);
  const [{ sig, keyid = "" }] = dsseEnvelope.signatures;
  expect({ mediaType, type: dsseEnvelope.payloadType, keyid, signatures: dsseEnvelope.signatures.length }).toEqual({
    mediaType: BUNDLE,
    type,
    keyid: "",
    signatures: 1,
  });
  expect(verificationMaterial.publicKey.hint).toBe(key.hint);
  return {
    subject,
    statement: json(payload),
    isValid: verify("sha256", signed, publicKey, Buffer.from(sig, "base64")),
  };
}

const STATEMENT = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ digest: { sha256: root.digest.slice("sha256:".length) } }],
  predicateType: "https://sigstore.dev/cosign/sign/v1",
  predicate: {},
};

describe("a signed image", () => {
  it("has a bundle that a registry lists, and a simple signature under a tag", () =>
    withSigned({ referrers: true }, async (server, repository) => {
      expect(await signImage(repository, root, key)).toBe("signed");
      expect(simpleSignatures(server)).toEqual([
        {
          isValid: true,
          payload: {
            critical: {
              identity: { "docker-reference": `${server.name}/app` },
              image: { "docker-manifest-digest": root.digest },
              type: "cosign container image signature",
            },
            optional: null,
          },
        },
      ]);
      const [referrer] = (await repository.referrers(root.digest)) ?? [];
      expect(referrer).toMatchObject({ artifactType: BUNDLE });
      expect(bundleIn(server, referrer?.digest ?? "")).toMatchObject({
        isValid: true,
        statement: STATEMENT,
        subject: { digest: root.digest },
      });
      expect(server.manifests.has(FALLBACK_TAG)).toBe(false);
    }));

  it("has its bundle in an index under a tag where the registry lists nothing", () =>
    withSigned({}, async (server, repository) => {
      await signImage(repository, root, key);
      const { manifests } = json(server.manifests.get(FALLBACK_TAG));
      expect(manifests).toMatchObject([
        { artifactType: BUNDLE, mediaType: "application/vnd.oci.image.manifest.v1+json" },
      ]);
      expect(bundleIn(server, manifests[0].digest)).toMatchObject({ isValid: true, statement: STATEMENT });
    }));

  it.each([true, false])(
    "is not signed twice by one key, and keeps what others have signed (listed: %s)",
    (referrers) =>
      withSigned({ referrers, pageSize: 1 }, async (server, repository) => {
        const other = await readSigningKey(Buffer.from(newKey().privateKey), undefined);
        expect(await signImage(repository, root, other)).toBe("signed");
        expect(await signImage(repository, root, key)).toBe("signed");
        const before = server.manifests.size;
        const requests = server.requests.length;
        expect(await signImage(repository, root, key)).toBe("present");
        expect(await signImage(repository, root, other)).toBe("present");
        expect(server.manifests.size).toBe(before);
        expect(server.requests.slice(requests).filter((request) => /^(?:PUT|POST)/.test(request))).toEqual([]);
        expect(simpleSignatures(server).map(({ isValid }: { isValid: boolean }) => isValid)).toEqual([false, true]);
      }),
  );

  it("of several platforms is signed as a whole and each by itself, but for what is said of them", async () => {
    const arm = testImage(["arm"], { os: "linux", architecture: "arm64" });
    const said = testImage(["said"], { os: "unknown", architecture: "unknown" });
    const [document] = said.documents;
    const descriptor = { ...rootOf(said), annotations: { "vnd.docker.reference.type": "attestation-manifest" } };
    const index = testIndex([image, arm, { ...said, documents: document ? [{ ...document, descriptor }] : [] }]);
    await withSigned(
      {},
      async (_, repository) => {
        const signed = await imagesToSign(repository, rootOf(index));
        expect(signed.map(({ digest }) => digest)).toEqual([rootOf(index).digest, root.digest, rootOf(arm).digest]);
      },
      index,
    );
  });

  it("that lists more images than anyone runs is refused as a whole", async () => {
    const many = testIndex(Array.from({ length: 300 }, () => image));
    await withSigned(
      {},
      async (_, repository) => {
        await expect(imagesToSign(repository, rootOf(many))).rejects.toMatchObject({
          code: "invalid",
          message: /300 images/,
        });
      },
      many,
    );
  });

  it.each([
    [FALLBACK_TAG, "should list what refers to an image"],
    [SIG_TAG, "should hold signatures"],
  ])("is not signed where an image lies under the tag %s", (tag, words) =>
    withSigned({}, async (server, repository) => {
      await pushImage(repository, root, providerOf(image), { tags: [tag] });
      await expect(signImage(repository, root, key)).rejects.toMatchObject({
        code: "failed",
        message: expect.stringContaining(words),
      });
      expect(server.manifests.get(tag)).toEqual(server.manifests.get(root.digest));
    }),
  );
});
