import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packagesIn, parseSbomOptions, sbom, sbomPatterns } from "../../src/attest/index.js";
import { digestOf } from "../../src/base/index.js";
import { spdxProblems } from "./spdx-rules.js";

const file = (path: string, text: string, layer = 0) => ({ path, content: Buffer.from(text), layer });
const OS = file("etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n');
const found = (...files: ReturnType<typeof file>[]) =>
  packagesIn({ files }).map(({ type, namespace, name, version }) => [type, namespace, name, version].join(" "));

describe("packages", () => {
  it.each<[string, string, string[]]>([
    [
      "var/lib/dpkg/status",
      "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36)\nVersion: 2.36-9\nDescription: GNU\n more\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
      ["deb debian libc6 2.36-9"],
    ],
    ["var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\n", ["deb debian tzdata 2024a"]],
    [
      "lib/apk/db/installed",
      "C:Q1x\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\n\nP:zlib\nV:1.3-r0\n",
      ["apk debian musl 1.2.4-r2", "apk debian zlib 1.3-r0"],
    ],
    [
      "app/package-lock.json",
      JSON.stringify({
        packages: {
          "": { name: "app", version: "1.0.0" },
          "node_modules/a": { version: "1.0.0" },
          "node_modules/a/node_modules/@s/b": { version: "2.0.0" },
          "node_modules/here": { link: true },
        },
      }),
      ["npm @s b 2.0.0", "npm  a 1.0.0"],
    ],
    [
      "package-lock.json",
      '{"dependencies":{"a":{"version":"1","dependencies":{"b":{"version":"2"}}}}}',
      ["npm  a 1", "npm  b 2"],
    ],
    ["usr/lib/node_modules/npm/package.json", '{"name":"npm","version":"10.1.0"}', ["npm  npm 10.1.0"]],
    [
      "yarn.lock",
      '# yarn\n\n"@s/a@^1.0.0", "@s/a@^1.1.0":\n  version "1.2.0"\n\nb@1:\n  version "1.0.0"\n',
      ["npm @s a 1.2.0", "npm  b 1.0.0"],
    ],
    [
      "pnpm-lock.yaml",
      "lockfileVersion: '9.0'\n\npackages:\n\n  '@s/a@1.2.3':\n    resolution: {}\n\n  b@2.0.0(x@1):\n    resolution: {}\n\nsnapshots:\n  c@1.0.0:\n",
      ["npm @s a 1.2.3", "npm  b 2.0.0"],
    ],
    [
      "usr/lib/python3/dist-packages/Foo_Bar-1.dist-info/METADATA",
      "Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\n\nName: no\n",
      ["pypi  foo-bar 1.0"],
    ],
    [
      "poetry.lock",
      '[[package]]\nname = "a"\nversion = "1.0"\n\n[[package]]\nname = "b"\nversion = "2.0"\n',
      ["pypi  a 1.0", "pypi  b 2.0"],
    ],
    ["requirements.txt", "a==1.0 ; python_version > '3'\nb>=2\nc[x]==3.0\n", ["pypi  a 1.0", "pypi  c 3.0"]],
    [
      "Cargo.lock",
      '[[package]]\nname = "own"\nversion = "0.1.0"\n\n[[package]]\nname = "serde"\nversion = "1.0.0"\nsource = "registry+x"\n',
      ["cargo  serde 1.0.0"],
    ],
    ["go.sum", "github.com/a/b v1.0.0 h1:x=\ngithub.com/a/b v1.0.0/go.mod h1:y=\n", ["golang github.com/a b v1.0.0"]],
    [
      "Gemfile.lock",
      "GEM\n  remote: https://rubygems.org/\n  specs:\n    rack (3.0.0)\n      dep (>= 1)\n\nPLATFORMS\n",
      ["gem  rack 3.0.0"],
    ],
    ["composer.lock", '{"packages":[{"name":"a/b","version":"1.0"}]}', ["composer a b 1.0"]],
    ["srv/vendor/composer/installed.json", '[{"name":"a/b","version":"v2.0"}]', ["composer a b v2.0"]],
    [
      "Pipfile.lock",
      '{"default":{"Foo_Bar":{"version":"==1.0"},"here":{"path":"."}},"develop":{"b":{"version":"==2"}}}',
      ["pypi  foo-bar 1.0", "pypi  b 2"],
    ],
    [
      "bun.lock",
      '{\n  "packages": {\n    "@s/a": ["@s/a@1.0.0", "", {}],\n    "b": ["b@2.0.0", ""],\n  }\n}\n',
      ["npm @s a 1.0.0", "npm  b 2.0.0"],
    ],
    ["gradle.lockfile", "# made by gradle\norg.x:core:1.0=compile,runtime\nempty=\n", ["maven org.x core 1.0"]],
    [
      "usr/lib/ruby/gems/3.1.0/specifications/rack-3.0.0.gemspec",
      'Gem::Specification.new do |s|\n  s.name = "rack".freeze\n  s.version = "3.0.0"\nend\n',
      ["gem  rack 3.0.0"],
    ],
    [
      "app/app.deps.json",
      '{"libraries":{"app/1.0.0":{"type":"project"},"Serilog/3.1.1":{"type":"package"}}}',
      ["nuget  Serilog 3.1.1"],
    ],
    ["packages.lock.json", '{"dependencies":{"net8.0":{"A":{"resolved":"1.0.0"},"B":{}}}}', ["nuget  A 1.0.0"]],
  ])("are found in %s", (path, text, expected) => {
    expect(sbomPatterns().some((pattern) => new RegExp(pattern).test(path))).toBe(true);
    expect(found(OS, file(path, text)).sort()).toEqual([...expected].sort());
  });

  it("are left out where a file makes no sense", () => {
    const paths = ["package-lock.json", "composer.lock", "var/lib/dpkg/status", "yarn.lock", "Cargo.lock", "go.sum"]
      .concat(["Pipfile.lock", "bun.lock", "a.deps.json", "vendor/composer/installed.json", "a.jar"])
      .concat(["Packages", "Packages.db", "rpmdb.sqlite"].map((name) => `var/lib/rpm/${name}`));
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.string(), (path, text) => {
        expect(Array.isArray(found(file(path, text)))).toBe(true);
      }),
    );
    expect(found(file("package-lock.json", '{"packages":{"node_modules/a":null,"node_modules/b":7}}'))).toEqual([]);
  });
});

describe("a bill of materials", () => {
  const files = [OS, file("lib/apk/db/installed", "P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\n", 1)];
  const layer = (text: string) => ({
    descriptor: { mediaType: "x", digest: digestOf(text), size: 1 },
    diffId: digestOf(text),
  });
  const input = { files, leftOut: [], name: "app:1", createdAt: Date.UTC(2024, 0, 1) };
  const document = () =>
    JSON.parse(JSON.stringify(sbom(input, parseSbomOptions({})).predicate([layer("a"), layer("b")])));

  it("is an SPDX document that names each package, where it was found and in which layer", () => {
    const made = document();
    expect(made).toMatchObject({
      spdxVersion: "SPDX-2.3",
      dataLicense: "CC0-1.0",
      SPDXID: "SPDXRef-DOCUMENT",
      creationInfo: { created: "2024-01-01T00:00:00Z" },
    });
    const [root, musl] = made.packages;
    expect(root).toMatchObject({ name: "app:1", primaryPackagePurpose: "CONTAINER" });
    expect(musl).toMatchObject({ name: "musl", versionInfo: "1.2.4-r2", licenseDeclared: "MIT" });
    expect(musl.externalRefs[0].referenceLocator).toBe("pkg:apk/debian/musl@1.2.4-r2?arch=x86_64&distro=debian-12");
    expect(made.files).toMatchObject([{ fileName: "/lib/apk/db/installed", comment: `layerID: ${digestOf("b")}` }]);
    expect(spdxProblems(made)).toEqual([]);
    const ids = new Set([made.SPDXID, ...made.packages, ...made.files].map((each) => each.SPDXID ?? each));
    for (const { spdxElementId, relatedSpdxElement } of made.relationships) {
      expect(ids).toContain(spdxElementId);
      expect(ids).toContain(relatedSpdxElement);
    }
  });

  it("names a program of Go as the file that its modules are evident by", () => {
    const program = { path: "usr/bin/tool", layer: 1, digest: digestOf("tool"), sha1: "a".repeat(40) };
    const buildInfo = Buffer.from("path\tx\nmod\tex.org/tool\t(devel)\t\ndep\tex.org/dep\tv1.2.0\th1:x=\n");
    const programs = [{ ...program, buildInfo }];
    const made = JSON.parse(JSON.stringify(sbom({ ...input, programs }, parseSbomOptions({})).predicate([])));
    expect(spdxProblems(made)).toEqual([]);
    expect(made.files.map(({ fileName }: { fileName: string }) => fileName)).toEqual([
      "/usr/bin/tool",
      "/lib/apk/db/installed",
    ]);
    expect(JSON.stringify(made)).toContain("pkg:golang/ex.org/dep@v1.2.0");
  });

  it("is valid whatever the files hold", () => {
    const names = fc.oneof(fc.stringMatching(/^[ -~\n]{0,40}$/), fc.string(), fc.constant("\ud800"));
    fc.assert(
      fc.property(fc.array(fc.tuple(names, names, names), { maxLength: 5 }), names, (packages, name) => {
        const text = JSON.stringify({
          packages: packages.map(([vendor, each, version]) => ({ name: `${vendor}/${each}`, version })),
        });
        const odd = { ...input, name, files: [OS, file("composer.lock", text), file("b/composer.lock", text)] };
        const made = JSON.parse(JSON.stringify(sbom(odd, parseSbomOptions({})).predicate([])));
        expect(spdxProblems(made)).toEqual([]);
      }),
    );
  });

  it("is the same for the same image at the same time", () => expect(document()).toEqual(document()));
});
