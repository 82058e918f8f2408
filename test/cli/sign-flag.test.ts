import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseSign } from "../../src/cli/sign-flag.js";
import { UsageError } from "../../src/cli/usage-error.js";

const parse = (text: string, env: Record<string, string> = {}) => parseSign(text, { env, cwd: "/work" });

describe("--sign", () => {
  it.each<[string, Record<string, string>, object]>([
    ["key=cosign.key", {}, { key: "/work/cosign.key" }],
    ["key=/k.pem", { COSIGN_PASSWORD: "" }, { key: "/k.pem", passphrase: "" }],
    ["key=k", { COSIGN_PASSWORD: "a" }, { key: "/work/k", passphrase: "a" }],
    ["key=k,passphrase-env=P", { COSIGN_PASSWORD: "a", P: "b" }, { key: "/work/k", passphrase: "b" }],
    ['"key=a,b"', {}, { key: "/work/a,b" }],
  ])("%s names the key and what opens it", (text, env, expected) => {
    expect(parse(text, env)).toEqual(expected);
  });

  it("takes the passphrase from a file, without the end of its line", () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-sign-"));
    const file = path.join(directory, "passphrase");
    fs.writeFileSync(file, "two words \r\n");
    expect(parse(`key=k,passphrase-file=${file}`, { COSIGN_PASSWORD: "a" }).passphrase).toBe("two words ");
    fs.rmSync(directory, { recursive: true });
  });

  it.each([
    ["", "invalid signature"],
    ["cosign.key", "must be a key=value pair"],
    ["key=", "signing needs a private key"],
    ["passphrase-env=P", "signing needs a private key"],
    ["key=k,kms=x", "unexpected key 'kms' in --sign: there are key, passphrase-file, passphrase-env"],
    ["key=k,passphrase-env=P", "there is no variable P with a passphrase"],
    ["key=k,passphrase-env=P,passphrase-file=f", "either in a file or in a variable"],
    ["key=k,passphrase-file=/nowhere/at/all", "the passphrase can't be read from /nowhere/at/all"],
  ])("%j is refused", (text, words) => {
    expect(() => parse(text)).toThrow(UsageError);
    expect(() => parse(text)).toThrow(words);
  });
});
