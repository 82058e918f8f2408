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

/** Images by name. Names are given in any spelling and kept in full: `hello` is `docker.io/library/hello:latest`. */
export interface ImageStore {
  /** Gives a name to an image; an image that had it loses it. */
  put(image: NewImage, options?: AbortOptions): Promise<NamedImage>;
  get(name: string): NamedImage | undefined;
  /** The images whose id begins with ID_PREFIX (hex digits, with or without `sha256:`), by name. */
  find(idPrefix: string): readonly NamedImage[];
  /** All images, by name. */
  list(): readonly NamedImage[];
  /** Takes the name away; false if there was no such name. What the image consists of stays until it is pruned. */
  remove(name: string, options?: AbortOptions): Promise<boolean>;
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
  const load = (row: ImageRow): NamedImage => ({
    name: row.name,
    target: parseDescriptor(row.target),
    platforms: database
      .all<PlatformRow>("SELECT image_id, manifest FROM image_platforms WHERE name = ? ORDER BY position", row.name)
      .map(({ image_id, manifest }) => ({ imageId: parseDigest(image_id), manifest: parseDescriptor(manifest) })),
    updatedAt: row.updated_at,
  });
  const get = (name: string): NamedImage | undefined => {
    const row = database.get<ImageRow>("SELECT name, target, updated_at FROM images WHERE name = ?", fullName(name));
    return row && load(row);
  };
  const write = (name: string, image: NewImage): void => {
    database.run("DELETE FROM images WHERE name = ?", name);
    const target = encodeDescriptor(image.target);
    database.run("INSERT INTO images (name, target, updated_at) VALUES (?, ?, ?)", name, target, clock.now());
    for (const [position, { imageId, manifest }] of image.platforms.entries()) {
      database.run(
        "INSERT INTO image_platforms (name, position, image_id, manifest) VALUES (?, ?, ?, ?)",
        name,
        position,
        imageId,
        encodeDescriptor(manifest),
      );
    }
  };
  return {
    get,
    async put(image, options) {
      const name = fullName(image.name);
      return database.transaction(() => {
        write(name, image);
        return get(name) as NamedImage;
      }, options);
    },
    find(idPrefix) {
      const prefix = idPrefix.replace(/^sha256:/, "");
      if (!/^[0-9a-f]{1,64}$/.test(prefix)) return [];
      return database
        .all<ImageRow>(
          `SELECT name, target, updated_at FROM images WHERE name IN
             (SELECT name FROM image_platforms WHERE image_id >= ? AND image_id <= ?) ORDER BY name`,
          `sha256:${prefix}`,
          `sha256:${prefix.padEnd(64, "f")}`,
        )
        .map(load);
    },
    list: () => database.all<ImageRow>("SELECT name, target, updated_at FROM images ORDER BY name").map(load),
    remove: (name, options) =>
      database.transaction(
        () => database.run("DELETE FROM images WHERE name = ?", fullName(name)).changes > 0,
        options,
      ),
  };
}

type ImageRow = { readonly name: string; readonly target: string; readonly updated_at: number };
type PlatformRow = { readonly image_id: string; readonly manifest: string };

function fullName(name: string): string {
  return formatReference(withDefaultTag(parseReference(name)));
}
