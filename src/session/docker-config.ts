import fs from "node:fs";
import path from "node:path";
import { EngineError, errorCode, makeDirectories, messageOf, readRegularFile } from "../base/index.js";

/** Docker's config.json, of which the members that concern registries are known and the others kept. */
export type DockerConfig = Readonly<Record<string, unknown>>;

/** The document at PATH; an empty one where there is none. `invalid` for what is no JSON object; system errors by their codes. */
export async function readDockerConfig(file: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = (await readRegularFile(file, CONFIG_BYTES_MAX)).toString();
  } catch (cause) {
    if (errorCode(cause) === "not-found") return {};
    throw new EngineError(errorCode(cause), `reading credentials from ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseDockerConfig(text, file);
}

/** The same of a TEXT that ORIGIN holds. */
export function parseDockerConfig(text: string, origin: string): DockerConfig {
  let document: unknown;
  try {
    document = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    // The parser's message would quote the file, and with it what is secret.
    throw new EngineError("invalid", `reading credentials from ${origin}: no JSON document`);
  }
  return objectOf(document);
}

/** Writes CONFIG to FILE so that nobody ever sees half of it, for its owner alone to read. Throws the system's errors. */
export function writeDockerConfig(file: string, config: DockerConfig): void {
  makeDirectories(path.dirname(file), 0o700);
  const known = fs.statSync(file, { throwIfNoEntry: false });
  const target = known === undefined ? file : fs.realpathSync(file);
  const directory = fs.mkdtempSync(path.join(path.dirname(target), ".ashlar-"));
  try {
    const made = path.join(directory, "config.json");
    fs.writeFileSync(made, JSON.stringify(config, undefined, "\t"), { mode: 0o600 });
    // Root may log in for somebody else, whose file it stays.
    if (known !== undefined && known.uid !== process.getuid?.()) fs.chownSync(made, known.uid, known.gid);
    fs.renameSync(made, target);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** VALUE, where it is a JSON object; an empty one else. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

/** Bytes of a config.json. */
const CONFIG_BYTES_MAX = 1024 * 1024;
