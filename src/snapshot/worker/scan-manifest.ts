import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { digestOf, hexOf } from "../../base/index.js";
import type { BytePath } from "./bytes.js";
import { sha256 } from "./file-read.js";

/**
 * What is known of a context directory's files from earlier scans: one file per context below `dirs.contexts`, replaced whole by
 * rename, so that the last of several writers wins. Bytes: a line with format and sha256 of the rest, then `path NUL stamp NUL sha256`
 * for each file, joined by NUL.
 */
export class ContextManifest {
  readonly #file: string;
  readonly #temporary: string;
  readonly #known: Map<BytePath, Known>;
  #changed = false;

  private constructor(file: string, temporary: string, known: Map<BytePath, Known>) {
    this.#file = file;
    this.#temporary = temporary;
    this.#known = known;
  }

  /** Loads what is known of the directory; a file that is missing, damaged or of another version counts as empty. */
  static load(dirs: { readonly contexts: string; readonly tmp: string }, directory: string): ContextManifest {
    const file = path.join(dirs.contexts, hexOf(digestOf(directory)));
    return new ContextManifest(file, dirs.tmp, parse(read(file)));
  }

  /** The content's sha256 of the file at PATH if its stamp is still STAMP. */
  find(at: BytePath, stamp: string): string | undefined {
    const known = this.#known.get(at);
    return known?.stamp === stamp ? known.sha256 : undefined;
  }

  /** Remembers a file's content. */
  keep(at: BytePath, stamp: string, contentSha256: string): void {
    this.#known.set(at, { stamp, sha256: contentSha256 });
    this.#changed = true;
  }

  /** Forgets a file. */
  drop(at: BytePath): void {
    if (this.#known.delete(at)) this.#changed = true;
  }

  /** Writes what has changed, if the disk lets it; IS_GONE says which paths need not be kept. */
  save(isGone: (at: BytePath) => boolean): void {
    if (!this.#changed) return;
    for (const at of this.#known.keys()) if (isGone(at)) this.#known.delete(at);
    const fields: string[] = [];
    for (const [at, { stamp, sha256: content }] of this.#known) fields.push(at, stamp, content);
    const body = Buffer.from(fields.join("\0"), "latin1");
    const temporary = path.join(this.#temporary, `context-${randomBytes(8).toString("hex")}`);
    const content = Buffer.concat([Buffer.from(`${FORMAT}${sha256(body)}\n`), body]);
    try {
      fs.writeFileSync(temporary, content, { flag: "wx", mode: 0o600 });
      fs.renameSync(temporary, this.#file);
    } catch {
      // Without it the next scan reads more; that is no reason for a build to fail.
      fs.rmSync(temporary, { force: true });
    }
    this.#changed = false;
  }
}

interface Known {
  readonly stamp: string;
  readonly sha256: string;
}

const FORMAT = "ashlar context manifest 1\n";
const HEADER_BYTES = FORMAT.length + 64 + 1;
/** A larger file is none of ours. */
const MANIFEST_MAX_BYTES = 512 * 1024 * 1024;

function read(file: string): Buffer {
  try {
    if (fs.statSync(file).size > MANIFEST_MAX_BYTES) return Buffer.alloc(0);
    return fs.readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}

function parse(bytes: Buffer): Map<BytePath, Known> {
  const known = new Map<BytePath, Known>();
  if (bytes.length <= HEADER_BYTES) return known;
  const body = bytes.subarray(HEADER_BYTES);
  if (bytes.toString("latin1", 0, HEADER_BYTES) !== `${FORMAT}${sha256(body)}\n`) return known;
  const fields = body.toString("latin1").split("\0");
  for (let i = 0; i + 2 < fields.length; i += 3) {
    known.set(fields[i] ?? "", { stamp: fields[i + 1] ?? "", sha256: fields[i + 2] ?? "" });
  }
  return known;
}
