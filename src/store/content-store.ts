import { createHash } from "node:crypto";
import { constants, readFileSync, statSync, utimesSync } from "node:fs";
import { type FileHandle, mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import {
  type AbortOptions,
  type Clock,
  canceled,
  type Digest,
  digestFromHex,
  digestOf,
  EngineError,
  errorCode,
  Flight,
  hexOf,
  makeDirectories,
  messageOf,
  streamRegularFile,
} from "../base/index.js";
import { type Bytes, checked, type Descriptor, type Provider, type ReadOptions, SpoiledError } from "../oci/index.js";

/** A place that content can be put into. */
export interface Ingester {
  /**
   * Stores CONTENT and describes it. On return the blob is there, whoever put it; on an error or abort nothing is. Errors: `data-loss`
   * if size or digest are not those EXPECTED, `no-space`, `canceled`, and whatever CONTENT throws.
   */
  ingest(content: Bytes, expected: Expected, options?: IngestOptions): Promise<Descriptor>;
}

/** What is known of some content before it is read. */
export interface Expected {
  readonly mediaType: string;
  readonly digest?: Digest;
  /** Bytes. */
  readonly size?: number;
}

export interface IngestOptions extends AbortOptions {
  /** Survives a loss of power, at the cost of two fsyncs. Otherwise a later read may find the blob damaged, and says so. */
  readonly durable?: boolean;
}

/**
 * Blobs on disk by their digest. One that turns out to be damaged when it is read is removed, so that it is not found again.
 * Several processes may share it; a process killed at any point leaves only garbage in `ingest/`.
 */
export interface ContentStore extends Provider, Ingester {
  /** Where the blob lies (or would), for threads that read it with synchronous calls. What they read is theirs to verify. */
  path(digest: Digest): string;
  info(digest: Digest, options?: AbortOptions): Promise<ContentInfo | undefined>;
  /**
   * Takes over FILE, of the same file system, whose digest the caller computed while writing it; its size is checked. The file is gone
   * on return, and untouched on an error.
   */
  adopt(file: string, content: Descriptor): Promise<void>;
  /**
   * Sees to it that TARGET is here, as if it had just come, reading it from FROM if need be, whose bytes verify themselves as the port promises. What
   * is here counts by its size, a small one by its bytes. Concurrent calls for one blob share the work.
   */
  ensure(target: Descriptor, from: Provider, options?: AbortOptions): Promise<void>;
  /** As `read`, but what is damaged stays. */
  peek(target: Descriptor, options?: ReadOptions): Bytes;
  /** Takes a blob, which is known to be damaged, out of the store; it is swept some time. */
  setAside(digest: Digest): Promise<void>;
  /** Every blob, in no order. Blobs may come and go meanwhile. */
  walk(options?: AbortOptions): AsyncIterable<ContentInfo>;
  /** Removes a blob; nothing happens if it isn't there. */
  delete(digest: Digest, options?: AbortOptions): Promise<void>;
  /** Removes what killed processes left behind; the bytes freed. */
  sweep(options?: SweepOptions): Promise<number>;
}

export interface ContentInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface SweepOptions extends AbortOptions {
  /** Asked after looking: whether nobody else can have written what was seen, so that it belongs to nobody, however young. Default: somebody can. */
  readonly isAlone?: () => boolean;
}

/** That a blob isn't here which something here names. */
export class MissingBlob extends EngineError {
  constructor(digest: Digest, cause: unknown) {
    super("not-found", `${digest}: not found in the store`, { cause });
  }
}

/** The blobs in `<root>/blobs/sha256/<hex>`. Folders are made when something is stored. */
export function createContentStore(root: string, clock: Clock): ContentStore {
  return new DiskStore(root, clock);
}

/** An ingest whose file nobody wrote to for so long (milliseconds) belongs to a dead process. */
const INGEST_STALE_MS = 60 * 60 * 1000;

/** A blob is young for longer than this. Milliseconds. */
const FRESH_MS = 60_000;

/** Blobs up to this size are hashed before they are relied on: documents are, and it takes less than opening what they describe. */
const SMALL_BYTES = 256 * 1024;

class DiskStore implements ContentStore {
  readonly #blobs: string;
  readonly #ingests: string;
  readonly #clock: Clock;
  readonly #fetches = new Flight<Digest, void>();

  constructor(root: string, clock: Clock) {
    this.#blobs = path.join(root, "blobs", "sha256");
    this.#ingests = path.join(root, "ingest");
    this.#clock = clock;
  }

  path(digest: Digest): string {
    return path.join(this.#blobs, hexOf(digest));
  }

  async info(digest: Digest): Promise<ContentInfo | undefined> {
    // Starting Node's threads takes a hundred times longer, and a build that finds its blobs there needs them for nothing else.
    const found = statSync(this.path(digest), { throwIfNoEntry: false });
    return found && { digest, sizeBytes: found.size, createdAt: found.mtimeMs };
  }

  async *read(target: Descriptor, options: ReadOptions = {}): Bytes {
    try {
      yield* this.peek(target, options);
    } catch (cause) {
      if (errorCode(cause) === "data-loss") await this.#dropDamaged(target, cause);
      throw cause;
    }
  }

  async *peek(target: Descriptor, options: ReadOptions = {}): Bytes {
    try {
      yield* checked(target, streamRegularFile(this.path(target.digest), options), options.offset);
    } catch (cause) {
      if (errorCode(cause) !== "not-found") throw cause;
      throw new MissingBlob(target.digest, cause);
    }
  }

  async setAside(digest: Digest): Promise<void> {
    makeDirectories(this.#ingests);
    await present(rename(this.path(digest), path.join(this.#ingests, `${hexOf(digest)}.damaged`)));
  }

  ingest(content: Bytes, expected: Expected, options: IngestOptions = {}): Promise<Descriptor> {
    return this.#put((file) => writeHashed(file, content, options), expected, options);
  }

  /** Stores the file that WRITE makes. */
  async #put(
    write: (file: string) => Promise<Written>,
    expected: Expected,
    options: IngestOptions,
  ): Promise<Descriptor> {
    makeDirectories(this.#blobs);
    const dir = await this.#newIngest();
    try {
      const file = path.join(dir, "data");
      const written = await write(file);
      verify(written, expected);
      await rename(file, this.path(written.digest));
      if (options.durable) await syncDirectory(this.#blobs);
      return { mediaType: expected.mediaType, ...written };
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      throw new EngineError(errorCode(cause), `storing ${expected.digest ?? "a blob"}: ${messageOf(cause)}`, { cause });
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  }

  /** Who shares a directory that is no engine's may take its empty `ingest` away at any moment. */
  async #newIngest(): Promise<string> {
    for (;;) {
      makeDirectories(this.#ingests);
      const dir = await present(mkdtemp(path.join(this.#ingests, "blob-")));
      if (dir !== undefined) return dir;
    }
  }

  async adopt(file: string, content: Descriptor): Promise<void> {
    const { size } = await stat(file);
    verify({ digest: content.digest, size }, content);
    makeDirectories(this.#blobs);
    await rename(file, this.path(content.digest));
  }

  async ensure(target: Descriptor, from: Provider, options: AbortOptions = {}): Promise<void> {
    const known = await this.info(target.digest);
    if (known?.sizeBytes === target.size && this.#isSound(target) && this.#refresh(known)) return;
    const fetch = async (signal: AbortSignal): Promise<void> => {
      // A provider's bytes are verified already; hashing them again would double the price of a pull.
      const write = async (file: string): Promise<Written> => {
        const size = await writeNew(file, from.read(target, { signal }), { signal });
        return { digest: target.digest, size };
      };
      for (let isThere = false; !isThere; ) {
        isThere = await this.#put(write, target, { signal }).then(() => true, unlessSpoiled);
      }
    };
    await this.#fetches.do(target.digest, fetch, options);
  }

  async *walk({ signal }: AbortOptions = {}): AsyncIterable<ContentInfo> {
    for (const name of (await present(readdir(this.#blobs))) ?? []) {
      if (signal?.aborted) throw canceled(signal);
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      const info = await this.info(digestFromHex(name));
      if (info !== undefined) yield info;
    }
  }

  async delete(digest: Digest): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  async sweep({ signal, isAlone = () => false }: SweepOptions = {}): Promise<number> {
    let freedBytes = 0;
    const seen = (await present(readdir(this.#ingests))) ?? [];
    const all = isAlone();
    for (const name of seen) {
      if (signal?.aborted) throw canceled(signal);
      const dir = path.join(this.#ingests, name);
      const data = path.join(dir, "data");
      const found = await present(
        stat(data).catch((error) => (errorCode(error) === "not-found" ? stat(dir) : Promise.reject(error))),
      );
      if (found === undefined || (!all && this.#clock.now() - found.mtimeMs < INGEST_STALE_MS)) continue;
      await rm(dir, { recursive: true, force: true });
      if (found.isFile()) freedBytes += found.size;
    }
    return freedBytes;
  }

  /** Whether a blob of the right size holds what it should; a large one is taken at its word. */
  #isSound({ digest, size }: Descriptor): boolean {
    if (size > SMALL_BYTES) return true;
    try {
      return digestOf(readFileSync(this.path(digest))) === digest;
    } catch (error) {
      if (errorCode(error) === "not-found") return false;
      throw error;
    }
  }

  /** What the bytes of a blob say that it is. */
  async #digestOf(digest: Digest): Promise<Digest> {
    const hash = createHash("sha256");
    for await (const chunk of streamRegularFile(this.path(digest), {})) hash.update(chunk);
    return digestFromHex(hash.digest("hex"));
  }

  /** Makes a blob young, since what is old and has no name may be removed; false if it is gone. */
  #refresh({ digest, createdAt }: ContentInfo): boolean {
    const now = this.#clock.now();
    if (now - createdAt < FRESH_MS) return true;
    try {
      utimesSync(this.path(digest), now / 1000, now / 1000);
      return true;
    } catch (error) {
      if (errorCode(error) === "not-found") return false;
      throw error;
    }
  }

  /** A file with other bytes than its name says lost them, say with the power: it must not be found again. */
  async #dropDamaged(target: Descriptor, cause: unknown): Promise<void> {
    const found = await this.info(target.digest);
    if (found === undefined) return;
    // Of another size it may be sound, and who asked for it wrong.
    if (found.sizeBytes !== target.size && (await this.#digestOf(target.digest)) === target.digest) return;
    await this.delete(target.digest);
    throw new EngineError(
      "data-loss",
      `${this.path(target.digest)} was damaged and has been removed: ${messageOf(cause)}`,
      {
        cause,
        hint: "Run it again: the content will be fetched or made anew, unless it came from an archive, which is to be loaded again.",
      },
    );
  }
}

/** False where it is worth another try: each place is spoiled but once. */
function unlessSpoiled(error: unknown): false {
  if (error instanceof SpoiledError) return false;
  throw error;
}

interface Written {
  readonly digest: Digest;
  readonly size: number;
}

async function writeHashed(file: string, content: Bytes, options: IngestOptions): Promise<Written> {
  const hash = createHash("sha256");
  const hashing = async function* (): Bytes {
    for await (const chunk of content) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const size = await writeNew(file, hashing(), options);
  return { digest: digestFromHex(hash.digest("hex")), size };
}

/** Writes CONTENT to the new FILE and gives its size. */
async function writeNew(file: string, content: Bytes, options: IngestOptions): Promise<number> {
  const handle = await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
  try {
    let size = 0;
    for await (const chunk of content) {
      if (options.signal?.aborted) throw canceled(options.signal);
      await writeAll(handle, chunk);
      size += chunk.length;
    }
    if (options.durable) await handle.sync();
    return size;
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length; ) {
    written += (await handle.write(chunk, written)).bytesWritten;
  }
}

function verify(written: Written, expected: Expected): void {
  const size = expected.size ?? written.size;
  const digest = expected.digest ?? written.digest;
  if (written.digest === digest && written.size === size) return;
  const got = `${written.digest} of ${written.size} bytes`;
  throw new EngineError("data-loss", `storing ${digest}: expected ${size} bytes of that digest, got ${got}`);
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The result of a file system call, undefined where the file isn't there. */
async function present<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (errorCode(error) === "not-found") return undefined;
    throw error;
  }
}
