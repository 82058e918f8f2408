import fs from "node:fs";
import path from "node:path";
import type { SigningSpec } from "../engine/index.js";
import type { Ambient } from "./build-request.js";
import { UsageError } from "./usage-error.js";
import { parseFields } from "./values.js";

/** --sign: `key=FILE[,passphrase-file=FILE|passphrase-env=NAME]`. The passphrase is cosign's COSIGN_PASSWORD unless it says otherwise. */
export function parseSign(text: string, ambient: Pick<Ambient, "env" | "cwd">): SigningSpec {
  const fields = parseFields(text, "signature");
  const unexpected = [...fields.keys()].find((key) => !KEYS.has(key));
  if (unexpected !== undefined)
    throw new UsageError(`unexpected key '${unexpected}' in --sign: there are ${[...KEYS].join(", ")}`);
  return signingSpec(
    { key: fields.get("key"), file: fields.get("passphrase-file"), variable: fields.get("passphrase-env") },
    ambient,
  );
}

/** Where a key and its passphrase are, as flags say. */
export interface KeyPlace {
  readonly key: string | undefined;
  readonly file?: string | undefined;
  readonly variable?: string | undefined;
}

/** The key, with the passphrase that its file or the environment holds. Throws UsageError. */
export function signingSpec(
  { key, file, variable }: KeyPlace,
  { env, cwd }: Pick<Ambient, "env" | "cwd">,
): SigningSpec {
  if (!key) throw new UsageError("signing needs a private key: key=FILE");
  if (file && variable) throw new UsageError("the passphrase is either in a file or in a variable");
  const passphrase = file ? readPassphrase(path.resolve(cwd, file)) : env[variable || "COSIGN_PASSWORD"];
  if (variable && passphrase === undefined) throw new UsageError(`there is no variable ${variable} with a passphrase`);
  return { key: path.resolve(cwd, key), ...(passphrase === undefined ? {} : { passphrase }) };
}

const KEYS = new Set(["key", "passphrase-file", "passphrase-env"]);

function readPassphrase(file: string): string {
  try {
    return fs.readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch {
    throw new UsageError(`the passphrase can't be read from ${file}`);
  }
}
