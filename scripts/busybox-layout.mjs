// Makes a base image of a static busybox: an OCI layout directory with one layer.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";

/** Everything in it is dated so; the same busybox always makes the same image. */
const CREATED = "2017-07-14T02:40:00Z";
const ARCHITECTURES = { x64: "amd64", arm64: "arm64", ia32: "386", arm: "arm", ppc64: "ppc64le", s390x: "s390x" };

/** Writes the layout of an image of the program BUSYBOX into DIRECTORY. */
export function makeBusyboxLayout(busybox, directory) {
  const tree = path.join(directory, "tree");
  try {
    makeTree(busybox, tree);
    const tar = tarOf(tree);
    const layer = writeBlob(directory, "application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar));
    const config = writeJson(directory, "application/vnd.oci.image.config.v1+json", configOf(digestOf(tar)));
    const manifestType = "application/vnd.oci.image.manifest.v1+json";
    const manifest = writeJson(directory, manifestType, {
      schemaVersion: 2,
      mediaType: manifestType,
      config,
      layers: [layer],
    });
    fs.writeFileSync(path.join(directory, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
    fs.writeFileSync(path.join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  } finally {
    fs.rmSync(tree, { recursive: true, force: true });
  }
}

function makeTree(busybox, tree) {
  for (const name of ["bin", "etc", "root", "home", "dev", "proc", "sys", "tmp"]) {
    fs.mkdirSync(path.join(tree, name), { recursive: true, mode: 0o755 });
  }
  fs.chmodSync(path.join(tree, "tmp"), 0o1777);
  fs.chmodSync(path.join(tree, "root"), 0o700);
  fs.copyFileSync(busybox, path.join(tree, "bin/busybox"));
  fs.chmodSync(path.join(tree, "bin/busybox"), 0o755);
  for (const applet of execFileSync(busybox, ["--list"], { encoding: "utf8" }).split("\n")) {
    if (applet !== "" && applet !== "busybox") fs.symlinkSync("busybox", path.join(tree, "bin", applet));
  }
  fs.writeFileSync(
    path.join(tree, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  );
  fs.writeFileSync(path.join(tree, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
}

function tarOf(tree) {
  const words = ["--sort=name", `--mtime=${CREATED}`, "--owner=0", "--group=0", "--numeric-owner", "-cf", "-", "."];
  return execFileSync("tar", ["-C", tree, ...words], { maxBuffer: 64 * 1024 * 1024 });
}

function configOf(diffId) {
  return {
    created: CREATED,
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sh"] },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created: CREATED, created_by: "busybox and its links" }],
  };
}

function writeJson(directory, mediaType, document) {
  return writeBlob(directory, mediaType, Buffer.from(JSON.stringify(document)));
}

/** Its descriptor. */
function writeBlob(directory, mediaType, bytes) {
  const digest = digestOf(bytes);
  const file = path.join(directory, "blobs", ...digest.split(":"));
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, bytes);
  return { mediaType, digest, size: bytes.length };
}

function digestOf(bytes) {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
