import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { packagesIn } from "../../src/attest/index.js";

/** A zip archive; entries whose names end in `.jar` are stored, others deflated. */
function zip(entries: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, text] of Object.entries(entries)) {
    const content = Buffer.from(text);
    const method = name.endsWith(".jar") ? 0 : 8;
    const packed = method === 0 ? content : deflateRawSync(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(content.length, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(at, 42);
    parts.push(local, Buffer.from(name), packed);
    directory.push(central, Buffer.from(name));
    at += local.length + name.length + packed.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(entries).length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, listed, end]);
}

const properties = (group: string, name: string, version: string) =>
  `#Generated\ngroupId=${group}\nartifactId=${name}\nversion=${version}\n`;
const found = (path: string, content: Buffer) =>
  packagesIn({ files: [{ path, content, layer: 0 }] }).map(({ namespace, name, version }) =>
    [namespace, name, version].join(" "),
  );

const library = zip({
  "META-INF/MANIFEST.MF": "Implementation-Version: 9\n",
  "META-INF/maven/org.x/core/pom.properties": properties("org.x", "core", "1.2.3"),
});

it("an archive of Java's is what Maven has noted in it, and so are those inside", () => {
  const program = zip({
    "META-INF/maven/com.y/app/pom.properties": properties("com.y", "app", "2.0"),
    "BOOT-INF/lib/core.jar": library,
    "BOOT-INF/lib/plain-3.1.jar": zip({ "a.class": "x" }),
  });
  expect(found("srv/app.jar", program)).toEqual(["com.y app 2.0", "org.x core 1.2.3", " plain 3.1"]);
  expect(
    found("opt/named.jar", zip({ "META-INF/MANIFEST.MF": "A: 1\r\nImplementation-Version: 1.\r\n 5\r\n" })),
  ).toEqual([" named 1.5"]);
  expect(found("opt/nothing.jar", zip({ "a.class": "x" }))).toEqual([]);
});

it("an archive within archives without end, and one that says it is larger than it may be, are left out", () => {
  let nested = library;
  for (let i = 0; i < 10; i++) nested = zip({ "inner.jar": nested });
  expect(found("a.jar", nested)).toEqual([]);
  const bomb = zip({ "META-INF/maven/a/b/pom.properties": Buffer.alloc(50_000_000, "a=b\n") });
  expect(found("b.jar", bomb)).toEqual([]);
  // One that lies about its size is no larger for that.
  const liar = Buffer.from(bomb);
  liar.writeUInt32LE(100, liar.indexOf(Buffer.from([0x50, 0x4b, 1, 2])) + 24);
  expect(found("c.jar", liar)).toEqual([]);
});

it("a damaged archive keeps nobody", () => {
  const whole = zip({ "META-INF/maven/org.x/core/pom.properties": properties("a", "b", "1"), "x.jar": library });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 20 }), (changes) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes[at] = value;
      expect(Array.isArray(found("a.jar", bytes))).toBe(true);
    }),
  );
});
