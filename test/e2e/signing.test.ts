import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { beforeEach, expect, test } from "vitest";
import { startRegistry } from "../registry/docker-registry.js";
import { newKey, sigstoreKey } from "../sign/keys.js";
import { needs, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const PASSPHRASE = "a passphrase that nobody may read";

/** The first layer under TAG, and what is noted beside it. */
async function layerOf(tag: string) {
  const directory = world.path("copied", tag.replaceAll(/\W/g, "-"));
  const words = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", `docker://${tag}`];
  fs.mkdirSync(world.path("copied"), { recursive: true });
  expect(await run([...words, `dir:${directory}`])).toMatchObject({ code: 0 });
  const { layers } = JSON.parse(fs.readFileSync(`${directory}/manifest.json`, "utf8"));
  const content = fs.readFileSync(`${directory}/${layers[0].digest.slice("sha256:".length)}`);
  return { content, annotations: layers[0].annotations };
}

test("a pushed image is signed by cosign's key, and openssl agrees; the key is nowhere else", async (context) => {
  needs(context, "docker-registry", "skopeo", "openssl");
  await using registry = await startRegistry("plain");
  const { der, publicKey } = newKey();
  const text = sigstoreKey(der, PASSPHRASE);
  world.files({ "cosign.key": text, "cosign.pub": publicKey, passphrase: `${PASSPHRASE}\n` }, "keys");
  const directory = world.files({ Dockerfile: "FROM scratch\nCOPY f /f\n", f: "f" });
  const name = `${registry.name}/app`;
  const key = world.path("keys/cosign.key");
  const wrong = await world.build(["--push", "-t", `${name}:1`, "--sign", `key=${key}`, directory], {
    env: { COSIGN_PASSWORD: "wrong" },
  });
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("does not open the signing key") });
  expect(wrong.stderr).not.toContain("COPY");
  const flags = ["--push", "-t", `${name}:1`, "--provenance=mode=max", "--metadata-file", world.path("meta.json")];
  const sign = `key=${key},passphrase-file=${world.path("keys/passphrase")}`;
  const built = await world.build(["-D", ...flags, "--sign", sign, directory]);
  expect(built).toMatchObject({ code: 0, stderr: expect.stringContaining(`signing ${name}:1`) });
  const digest: string = JSON.parse(world.read("meta.json"))["containerimage.digest"];
  const { content, annotations } = await layerOf(`${name}:${digest.replace(":", "-")}.sig`);
  expect(JSON.parse(content.toString()).critical.image).toEqual({ "docker-manifest-digest": digest });
  fs.writeFileSync(world.path("payload"), content);
  const signature = Buffer.from(annotations["dev.cosignproject.cosign/signature"], "base64");
  fs.writeFileSync(world.path("signature"), signature);
  const words = ["dgst", "-sha256", "-verify", world.path("keys/cosign.pub"), "-signature", world.path("signature")];
  expect(execFileSync("openssl", [...words, world.path("payload")], { encoding: "utf8" })).toContain("Verified OK");

  const again = await world.ashlar(["sign", "--key", key, "--passphrase-env", "P", `${name}@${digest}`], {
    env: { P: PASSPHRASE },
  });
  expect(again).toMatchObject({ code: 0, stdout: `${name}@${digest} (was signed by this key)\n` });
  const said = [wrong, built, again].map(({ stdout, stderr }) => stdout + stderr).join("");
  const secrets = [PASSPHRASE, text.split("\n")[1] ?? "", der.toString("base64").slice(0, 40)];
  for (const secret of secrets) {
    expect(said).not.toContain(secret);
    expect((await run(["grep", "-rlF", secret, world.root])).stdout).toBe("");
  }
});

test("what is not pushed is not signed", async () => {
  const directory = world.files({ Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
  const built = await world.build(["-t", "app", "--sign", "key=cosign.key", directory]);
  expect(built).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("only images that are pushed can be signed"),
  });
  const odd = await world.build(["--push", "-t", "app", "--sign", "kms=x", directory]);
  expect(odd).toMatchObject({ code: 125, stderr: expect.stringContaining("unexpected key 'kms' in --sign") });
});
