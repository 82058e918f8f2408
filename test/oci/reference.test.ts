import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  familiarReference,
  familiarRepositoryName,
  formatReference,
  parseReference,
  repositoryName,
  withDefaultTag,
} from "../../src/oci/index.js";

const DIGEST = `sha256:${"0a".repeat(32)}`;

describe("parseReference", () => {
  it.each([
    ["alpine", "docker.io/library/alpine", "alpine"],
    ["alpine:3.19", "docker.io/library/alpine:3.19", "alpine:3.19"],
    [`alpine@${DIGEST}`, `docker.io/library/alpine@${DIGEST}`, `alpine@${DIGEST}`],
    [`alpine:3@${DIGEST}`, `docker.io/library/alpine:3@${DIGEST}`, `alpine:3@${DIGEST}`],
    ["docker.io/alpine", "docker.io/library/alpine", "alpine"],
    ["index.docker.io/library/alpine", "docker.io/library/alpine", "alpine"],
    ["user/app", "docker.io/user/app", "user/app"],
    ["docker.io/user/app:1", "docker.io/user/app:1", "user/app:1"],
    ["localhost/app", "localhost/app", "localhost/app"],
    ["localhost:5000/app", "localhost:5000/app", "localhost:5000/app"],
    ["ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x"],
    ["registry:5000/a__b/c--d.e_f:V1", "registry:5000/a__b/c--d.e_f:V1", "registry:5000/a__b/c--d.e_f:V1"],
    ["[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"],
    ["Registry/app", "Registry/app", "Registry/app"],
  ])("reads %s as %s", (text, full, familiar) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(full);
    expect(familiarReference(reference)).toBe(familiar);
    expect(parseReference(full)).toEqual(reference);
  });

  it("says which names must be lower-case", () => {
    expect(() => parseReference("Alpine:3")).toThrow(
      "invalid reference format: repository name (library/Alpine) must be lowercase",
    );
    expect(() => parseReference("ghcr.io/User/app")).toThrow("repository name (User/app) must be lowercase");
  });

  it.each([
    "",
    ":tag",
    "base:tag:tag",
    "a b",
    "-a",
    "a-",
    "a//b",
    "a/",
    "/a",
    "a..b",
    "a:",
    "a@",
    "a@sha256:123",
    "a:.tag",
    "a\n",
    "host:port/a",
    "a".repeat(5000),
  ])("refuses %j", (text) => {
    expect(() => parseReference(text)).toThrow(/^(invalid reference format|repository name must)/);
  });

  it("refuses an image id, long names and unknown digests", () => {
    expect(() => parseReference("0a".repeat(32))).toThrow("cannot specify 64-byte hexadecimal strings");
    expect(() => parseReference("a".repeat(256))).toThrow("repository name must not be more than 255 characters");
    expect(() => parseReference(`a@sha512:${"0".repeat(128)}`)).toThrow("unsupported digest algorithm");
  });

  it("never throws anything but invalid, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."aA0._-/:@[]%\n é") }), (text) => {
        try {
          const reference = parseReference(text);
          expect(parseReference(formatReference(reference))).toEqual(reference);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid" });
        }
      }),
    );
  });
});

describe("withDefaultTag", () => {
  it("adds latest only where there is neither tag nor digest", () => {
    expect(formatReference(withDefaultTag(parseReference("a")))).toBe("docker.io/library/a:latest");
    expect(formatReference(withDefaultTag(parseReference("a:1")))).toBe("docker.io/library/a:1");
    expect(formatReference(withDefaultTag(parseReference(`a@${DIGEST}`)))).toBe(`docker.io/library/a@${DIGEST}`);
  });
});

describe("repository names", () => {
  it("leave tag and digest out", () => {
    expect(repositoryName(parseReference("alpine:3"))).toBe("docker.io/library/alpine");
    expect(familiarRepositoryName(parseReference("alpine:3"))).toBe("alpine");
  });
});
