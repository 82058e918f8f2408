import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packagesIn } from "../../src/attest/index.js";
import { bdbBlobs } from "../../src/attest/packages/rpm/bdb.js";
import { ndbBlobs } from "../../src/attest/packages/rpm/ndb.js";
import { sqliteBlobs } from "../../src/attest/packages/rpm/sqlite.js";
import { digestOf } from "../../src/base/index.js";
import { connect } from "../../src/store/sqlite.js";

/** Databases that rpm 4.18 and Berkeley DB 5.3 have made, of the same three packages. */
const fixture = (name: string) => gunzipSync(fs.readFileSync(path.join(import.meta.dirname, "fixtures", `${name}.gz`)));
const SQLITE = fixture("rpmdb.sqlite");
const BDB = fixture("Packages");
const HEADERS = [...sqliteBlobs(SQLITE, "Packages")];
const NDB = ndbOf(HEADERS);

/** HEADERS in rpm's own format: a page of slots, then blobs. */
function ndbOf(headers: readonly Buffer[]): Buffer {
  const slots = Buffer.alloc(4096);
  slots.write("RpmP", 0, "latin1");
  slots.writeUInt32LE(1, 12);
  const parts: Buffer[] = [slots];
  let at = 4096;
  for (const [i, header] of headers.entries()) {
    const head = Buffer.alloc(16);
    head.write("BlbS", 0, "latin1");
    head.writeUInt32LE(i + 1, 4);
    head.writeUInt32LE(header.length, 12);
    const blob = Buffer.concat([head, header, Buffer.alloc(32 - (header.length % 16))]);
    const slot = 32 + 16 * i;
    slots.write("Slot", slot, "latin1");
    slots.writeUInt32LE(i + 1, slot + 4);
    slots.writeUInt32LE(at / 16, slot + 8);
    slots.writeUInt32LE(blob.length / 16, slot + 12);
    parts.push(blob);
    at += blob.length;
  }
  return Buffer.concat(parts);
}

const OS = { path: "etc/os-release", content: Buffer.from('ID="rocky"\nVERSION_ID="9.4"\n'), layer: 0 };

describe("rpm's database", () => {
  it.each([
    ["var/lib/rpm/rpmdb.sqlite", SQLITE],
    ["usr/lib/sysimage/rpm/Packages.db", NDB],
    ["var/lib/rpm/Packages", BDB],
  ])("is read: %s", (place, content) => {
    const found = packagesIn({ files: [OS, { path: place, content, layer: 0 }] });
    expect(
      found.map(({ type, namespace, name, version, license }) => [type, namespace, name, version, license]),
    ).toEqual([
      ["rpm", "rocky", "hello", "1.2-3", "MIT"],
      ["rpm", "rocky", "libfoo", "2.0.1-4.el9", "Apache-2.0"],
      ["rpm", "rocky", "longone", "1-1", "ISC"],
    ]);
    expect(found[1]?.qualifiers).toEqual({
      arch: "noarch",
      distro: "rocky-9.4",
      epoch: "2",
      upstream: "libfoo-2.0.1-4.el9.src.rpm",
    });
  });

  it.each([
    ["sqlite", SQLITE, (bytes: Buffer) => sqliteBlobs(bytes, "Packages")],
    ["ndb", NDB, ndbBlobs],
    ["Berkeley DB", BDB, bdbBlobs],
  ] as const)("of %s that is damaged keeps nobody", (_, whole, blobs) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 40 }),
        fc.nat(8191),
        fc.nat(whole.length),
        (changes, early, end) => {
          const bytes = Buffer.from(whole.subarray(0, end < 200 ? end : whole.length));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          if (early < bytes.length) bytes[early] = 255;
          const sizes = [...blobs(bytes)].map(({ length }) => length);
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4 * bytes.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("whose chains go in circles ends", () => {
    const bytes = Buffer.from(BDB);
    for (let page = 0; page < bytes.length; page += 4096)
      if (bytes[page + 25] === 7) bytes.writeUInt32LE(page / 4096, page + 16);
    expect([...bdbBlobs(bytes)].length).toBeLessThanOrEqual(3);
  });
});

describe("an SQLite file", () => {
  it.each([512, 4096, 65_536])("with pages of %s bytes is read as SQLite reads it", (pageBytes) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-sqlite-"));
    const place = path.join(directory, "db");
    const connection = connect(place);
    connection.exec(`PRAGMA page_size=${pageBytes}`);
    connection.exec(
      "CREATE TABLE Other(x); CREATE TABLE Packages(hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)",
    );
    const insert = connection.prepare("INSERT INTO Packages(blob) VALUES(?)");
    connection.exec("BEGIN");
    for (const blob of blobs) insert.run(blob);
    connection.exec("COMMIT");
    connection.close();
    const bytes = fs.readFileSync(place);
    fs.rmSync(directory, { recursive: true });
    expect([...sqliteBlobs(bytes, "Packages")].map(digestOf)).toEqual(blobs.map(digestOf));
    expect([...sqliteBlobs(bytes, "Other")]).toEqual([]);
  });

  /** Of all sizes about which a page decides what it keeps. */
  const blobs = Array.from({ length: 700 }, (_, i) => Buffer.alloc(1 + ((i * i * 7919) % 9000), i));
});
