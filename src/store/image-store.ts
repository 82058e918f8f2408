import { type AbortOptions, type Clock, type Digest, parseDigest } from "../base/index.js";
import {
  type Descriptor,
  encodeDescriptor,
  formatReference,
  parseDescriptor,
  parseReference,
  withDefaultTag,
} from "../oci/index.js";
import type { Database, Migration } from "./database.js";

/**
 * Images by name. Names are given in any spelling and kept in full: `hello` is `docker.io/library/hello:latest`. An image whose name
 * goes to another one stays, without a name, until it is removed.
 */
export interface ImageStore {
  /** Gives a name to an image; an image that had it loses it. */
  put(image: NewImage, options?: AbortOptions): Promise<NamedImage>;
  /** Keeps an image that needn't have a name. One that has a name stays as it is. */
  keep(image: Omit<NewImage, "name">, options?: AbortOptions): Promise<void>;
  get(name: string): NamedImage | undefined;
  /** The images with an id or a digest that begins with PREFIX (hex digits, with or without `sha256:`), by name. */
  find(prefix: string): readonly StoredEntry[];
  /** All images, by name, those without a name first. */
  list(): readonly StoredEntry[];
  /** Takes the name away; false if there was no such name. What the image consists of stays until it is pruned. */
  remove(name: string, options?: AbortOptions): Promise<boolean>;
  /** The same for an image without a name. */
  removeNameless(target: Digest, options?: AbortOptions): Promise<boolean>;
  /** What has not been kept, since another manifest of the same image was: its documents, unless something else has them, are garbage. */
  readonly superseded: readonly Descriptor[];
}

export interface NewImage {
  readonly name: string;
  /** The manifest or index that the name stands for. */
  readonly target: Descriptor;
  readonly platforms: readonly PlatformImage[];
}

/** One platform's image. */
export interface PlatformImage {
  /** The digest of the config. */
  readonly imageId: Digest;
  /** Its manifest, with the platform. */
  readonly manifest: Descriptor;
}

export interface NamedImage extends NewImage {
  /** When the name was given, in milliseconds since the epoch. */
  readonly updatedAt: number;
}

/** An image that is kept, with or without a name. */
export type StoredEntry = Omit<NamedImage, "name"> & { readonly name: string | undefined };

/** The schema `createImageStore` needs. */
export const imageStoreMigrations: readonly Migration[] = [
  {
    id: "images-1",
    sql: `
      CREATE TABLE images (name TEXT PRIMARY KEY, target TEXT NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE image_platforms (
        name TEXT NOT NULL REFERENCES images (name) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        image_id TEXT NOT NULL,
        manifest TEXT NOT NULL,
        PRIMARY KEY (name, position)
      ) WITHOUT ROWID;
      CREATE INDEX image_platforms_by_id ON image_platforms (image_id);
    `,
  },
];

/** The image store in DATABASE, which was opened with `imageStoreMigrations`. */
export function createImageStore(database: Database, clock: Clock): ImageStore {
  return new Images(database, clock);
}

/** What stands in the place of a name, before the digest; no name begins so. */
const NAMELESS = "<none>@";

class Images implements ImageStore {
  readonly superseded: Descriptor[] = [];
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  async put(image: NewImage, options?: AbortOptions): Promise<NamedImage> {
    const name = fullName(image.name);
    return this.#database.transaction(() => {
      const before = this.#row(name);
      this.#write(name, image, this.#clock.now());
      this.#delete(NAMELESS + image.target.digest);
      this.#replaceNameless(image);
      if (before && before.target.digest !== image.target.digest) {
        if (this.#isNamed(before)) this.#supersede(before.target);
        else this.#write(NAMELESS + before.target.digest, before, before.updatedAt);
      }
      return { ...image, name, updatedAt: this.#clock.now() };
    }, options);
  }

  keep(image: Omit<NewImage, "name">, options?: AbortOptions): Promise<void> {
    return this.#database.transaction(() => {
      if (this.#isNamed(image)) {
        this.#supersede(image.target);
        return;
      }
      this.#write(NAMELESS + image.target.digest, image, this.#clock.now());
      this.#replaceNameless(image);
    }, options);
  }

  get(name: string): NamedImage | undefined {
    const full = fullName(name);
    const entry = this.#row(full);
    return entry && { ...entry, name: full };
  }

  find(prefix: string): readonly StoredEntry[] {
    const hex = prefix.replace(/^sha256:/, "");
    if (!/^[0-9a-f]{1,64}$/.test(hex)) return [];
    const rows = this.#database.all<ImageRow>(
      `SELECT name, target, updated_at FROM images WHERE name IN
         (SELECT name FROM image_platforms WHERE image_id BETWEEN ?1 AND ?2)
         OR json_extract(target, '$.digest') BETWEEN ?1 AND ?2 ORDER BY name`,
      `sha256:${hex}`,
      `sha256:${hex.padEnd(64, "f")}`,
    );
    return rows.map((row) => this.#load(row));
  }

  list(): readonly StoredEntry[] {
    const rows = this.#database.all<ImageRow>("SELECT name, target, updated_at FROM images ORDER BY name");
    return rows.map((row) => this.#load(row));
  }

  remove(name: string, options?: AbortOptions): Promise<boolean> {
    return this.#database.transaction(() => this.#delete(fullName(name)), options);
  }

  removeNameless(target: Digest, options?: AbortOptions): Promise<boolean> {
    return this.#database.transaction(() => this.#delete(NAMELESS + target), options);
  }

  /** Removes what has no name and is IMAGE under another manifest. */
  #replaceNameless({ target, platforms }: Omit<NewImage, "name">): void {
    const idsOf = (all: readonly PlatformImage[]) => all.map(({ imageId }) => imageId).join();
    for (const { imageId } of platforms.slice(0, 1)) {
      const same = this.find(imageId).filter((each) => idsOf(each.platforms) === idsOf(platforms));
      for (const each of same) {
        if (each.name !== undefined || each.target.digest === target.digest) continue;
        this.#delete(NAMELESS + each.target.digest);
        this.#supersede(each.target);
      }
    }
  }

  #supersede(target: Descriptor): void {
    const kept = "SELECT 1 FROM images WHERE json_extract(target, '$.digest') = ?";
    if (!this.#database.get(kept, target.digest)) this.superseded.push(target);
  }

  #row(name: string): StoredEntry | undefined {
    const row = this.#database.get<ImageRow>("SELECT name, target, updated_at FROM images WHERE name = ?", name);
    return row && this.#load(row);
  }

  #load(row: ImageRow): StoredEntry {
    const platforms = this.#database.all<PlatformRow>(
      "SELECT image_id, manifest FROM image_platforms WHERE name = ? ORDER BY position",
      row.name,
    );
    return {
      name: row.name.startsWith(NAMELESS) ? undefined : row.name,
      target: parseDescriptor(row.target),
      platforms: platforms.map(({ image_id, manifest }) => ({
        imageId: parseDigest(image_id),
        manifest: parseDescriptor(manifest),
      })),
      updatedAt: row.updated_at,
    };
  }

  #delete(name: string): boolean {
    return this.#database.run("DELETE FROM images WHERE name = ?", name).changes > 0;
  }

  #write(name: string, { target, platforms }: Omit<NewImage, "name">, updatedAt: number): void {
    this.#delete(name);
    const insert = "INSERT INTO images (name, target, updated_at) VALUES (?, ?, ?)";
    this.#database.run(insert, name, encodeDescriptor(target), updatedAt);
    for (const [position, { imageId, manifest }] of platforms.entries()) {
      this.#database.run(
        "INSERT INTO image_platforms (name, position, image_id, manifest) VALUES (?, ?, ?, ?)",
        ...[name, position, imageId, encodeDescriptor(manifest)],
      );
    }
  }

  /** Whether the image, or each of its platforms' images by its id, has a name: another manifest of the same is the same image. */
  #isNamed({ target, platforms }: Omit<NewImage, "name">): boolean {
    const byTarget = `SELECT 1 FROM images WHERE json_extract(target, '$.digest') = ? AND name NOT LIKE '${NAMELESS}%'`;
    if (this.#database.get(byTarget, target.digest)) return true;
    const byId = `SELECT 1 FROM image_platforms WHERE image_id = ? AND name NOT LIKE '${NAMELESS}%'`;
    return platforms.length > 0 && platforms.every(({ imageId }) => this.#database.get(byId, imageId) !== undefined);
  }
}

type ImageRow = { readonly name: string; readonly target: string; readonly updated_at: number };
type PlatformRow = { readonly image_id: string; readonly manifest: string };

function fullName(name: string): string {
  return formatReference(withDefaultTag(parseReference(name)));
}
