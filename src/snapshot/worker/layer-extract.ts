import fs from "node:fs";
import {
  EngineError,
  errorCode,
  makeDevice,
  makeNode,
  messageOf,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  systemCode,
} from "../../base/index.js";
import { parseLayerName, type TarEntry, type TarHandler } from "../../tar/index.js";
import { type BytePath, toBuffer, toText } from "./bytes.js";
import { readLink } from "./layer-compare.js";
import { applyMetadata } from "./layer-copy.js";
import { resolveLinks } from "./layer-stack.js";
import { type FileKind, statOf } from "./layer-stat.js";
import { makeWhiteout } from "./layer-whiteout.js";
import { makeDeviceNode, setTimes } from "./ownership.js";
import { removeTree } from "./remove.js";
import { writeSparsely } from "./sparse-write.js";

/**
 * What a layer's archive says that only makes sense over the layers below it. Paths are relative to the layer's root.
 */
export interface LayerFixups {
  /** Directories the archive only implies. */
  readonly implied: readonly BytePath[];
  /** Directories that hide everything below them; "" is the root. */
  readonly opaque: readonly BytePath[];
  readonly whiteouts: readonly BytePath[];
  /** Hard links to files that are not in this layer. */
  readonly links: readonly { readonly name: BytePath; readonly target: BytePath }[];
}

/** Writes the entries of a layer's archive below "/", which must be the layer's own directory (`Root.enter`). */
export interface LayerExtractor extends TarHandler {
  /** To be called inside the root, after the last entry: sets the times of directories. */
  finish(): LayerFixups;
  /** Closes what is open, finished or not. */
  close(): void;
}

export function createLayerExtractor(): LayerExtractor {
  return new Extractor();
}

/** A path this deep is an attack: the kernel takes paths of at most 4096 bytes. */
const DEPTH_MAX = 2048;
const RESERVED_DIRECTORY = /(^|\/)\.wh\.\.wh\.[^/]+\//;

interface OpenFile {
  readonly fd: number;
  readonly path: BytePath;
  readonly entry: TarEntry;
  position: number;
  holes: boolean;
}

class Extractor implements LayerExtractor {
  readonly #implied = new Set<BytePath>();
  readonly #opaque = new Set<BytePath>();
  readonly #whiteouts = new Set<BytePath>();
  readonly #links: { name: BytePath; target: BytePath }[] = [];
  /** Directories whose times are set last. */
  readonly #times = new Map<BytePath, bigint>();
  #open: OpenFile | undefined;
  #lastParent: { readonly named: BytePath; readonly real: BytePath } | undefined;

  entry(entry: TarEntry): void {
    try {
      this.#make(entry);
    } catch (error) {
      throw explained(error, entry.name);
    }
  }

  body(chunk: Uint8Array): void {
    const file = this.#open;
    if (!file) return;
    if (writeSparsely(file.fd, chunk, file.position)) file.holes = true;
    file.position += chunk.length;
  }

  hole(bytes: number): void {
    if (!this.#open) return;
    this.#open.position += bytes;
    this.#open.holes = true;
  }

  entryEnd(): void {
    const file = this.#open;
    if (!file) return;
    try {
      // The hole at the end of a sparse file was not written.
      if (file.holes) fs.ftruncateSync(file.fd, file.position);
      this.close();
      applyMetadata(file.path, metadataIn(file.entry, "file"));
    } catch (error) {
      throw explained(error, file.entry.name);
    }
  }

  finish(): LayerFixups {
    for (const [path, mtimeNs] of this.#times) {
      if (statOf(path)?.kind === "directory") setTimes(toBuffer(path), mtimeNs, mtimeNs);
    }
    const existing = (paths: Iterable<BytePath>, kind: FileKind) =>
      [...paths].filter((path) => statOf(`/${path}`)?.kind === kind);
    return {
      implied: existing(this.#implied, "directory"),
      opaque: existing(this.#opaque, "directory"),
      whiteouts: existing(this.#whiteouts, "whiteout"),
      links: this.#links,
    };
  }

  close(): void {
    const file = this.#open;
    this.#open = undefined;
    if (file) fs.closeSync(file.fd);
  }

  #make(entry: TarEntry): void {
    const named = cleanName(entry.name);
    if (named === "" || RESERVED_DIRECTORY.test(`${named}/`.slice(0, named.lastIndexOf("/") + 1))) return;
    const slash = named.lastIndexOf("/");
    const base = named.slice(slash + 1);
    const layerName = parseLayerName(base);
    if (layerName.kind === "reserved") return;
    const parent = this.#parent(named.slice(0, Math.max(0, slash)));
    if (layerName.kind === "opaque") {
      this.#opaque.add(parent);
      return;
    }
    const path = below(parent, layerName.kind === "whiteout" ? layerName.of : base);
    if (layerName.kind === "whiteout") {
      this.#clear(path);
      makeWhiteout(`/${path}`);
      this.#whiteouts.add(path);
    } else this.#makeEntry(entry, path);
  }

  #makeEntry(entry: TarEntry, path: BytePath): void {
    if (entry.type === "directory") {
      this.#makeDirectory(entry, path);
      return;
    }
    if (entry.type === "link") {
      this.#makeLink(entry, path);
      return;
    }
    this.#clear(path);
    const at = `/${path}`;
    if (entry.type === "file") {
      const flags = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
      this.#open = { fd: fs.openSync(toBuffer(at), flags, 0o600), path: at, entry, position: 0, holes: false };
      return;
    }
    makeSpecial(entry, at);
    applyMetadata(at, metadataIn(entry, entry.type));
  }

  /** A directory over a directory is one; over anything else of this archive, it hides what is below. */
  #makeDirectory(entry: TarEntry, path: BytePath): void {
    const at = `/${path}`;
    const existing = statOf(at);
    if (existing?.kind !== "directory") {
      if (existing) {
        this.#clear(path);
        this.#opaque.add(path);
      }
      fs.mkdirSync(toBuffer(at), 0o700);
    }
    this.#implied.delete(path);
    applyMetadata(at, metadataIn(entry, "directory"));
    this.#times.set(at, entry.mtimeNs);
  }

  /** The linked file's own entry tells its metadata. A target that is not here is in a layer below. */
  #makeLink(entry: TarEntry, path: BytePath): void {
    const named = cleanName(entry.linkName);
    const slash = named.lastIndexOf("/");
    const target = below(this.#resolve(named.slice(0, Math.max(0, slash))), named.slice(slash + 1));
    if (named === "" || target === path) throw new EngineError("invalid", "it is a hard link to itself or to the root");
    const kind = statOf(`/${target}`)?.kind;
    if (kind === "directory") throw new EngineError("invalid", "it is a hard link to a directory");
    if (kind === "whiteout")
      throw new EngineError("invalid", `it is a hard link to ${toText(target)}, which the layer removes`);
    this.#clear(path);
    if (kind === undefined) this.#links.push({ name: path, target });
    else fs.linkSync(toBuffer(`/${target}`), toBuffer(`/${path}`));
  }

  /** The real path of a directory, made with everything above it where it is missing. */
  #parent(named: BytePath): BytePath {
    if (this.#lastParent?.named === named) return this.#lastParent.real;
    const real = this.#resolve(named);
    let path = "";
    for (const name of real === "" ? [] : real.split("/")) {
      path = below(path, name);
      const kind = statOf(`/${path}`)?.kind;
      if (kind === "directory") continue;
      if (kind !== undefined && kind !== "whiteout")
        throw new EngineError("invalid", `${toText(path)} is no directory`);
      if (kind === "whiteout") {
        this.#clear(path);
        this.#opaque.add(path);
      }
      fs.mkdirSync(toBuffer(`/${path}`), 0o755);
      this.#implied.add(path);
    }
    this.#lastParent = { named, real };
    return real;
  }

  #resolve(named: BytePath): BytePath {
    return resolveLinks(named, (path) => (statOf(`/${path}`)?.kind === "symlink" ? readLink(`/${path}`) : undefined));
  }

  /** Removes what this archive put at PATH. */
  #clear(path: BytePath): void {
    // Looking first: that there is nothing is the rule, and an exception for it costs more than a look.
    if (!statOf(`/${path}`)) return;
    removeTree(`/${path}`);
    this.#lastParent = undefined;
    this.#whiteouts.delete(path);
  }
}

function explained(error: unknown, name: BytePath): EngineError {
  const code = systemCode(error) === "ENAMETOOLONG" ? "invalid" : errorCode(error);
  return new EngineError(code, `unpacking ${JSON.stringify(toText(name))}: ${messageOf(error)}`, { cause: error });
}

/** A name as a path below the root: no `.`, no empty parts, and `..` goes no higher than the root. */
function cleanName(name: BytePath): BytePath {
  const parts: BytePath[] = [];
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  if (parts.length > DEPTH_MAX)
    throw new EngineError("invalid", `a path of ${parts.length} parts; the limit is ${DEPTH_MAX}`);
  return parts.join("/");
}

function below(parent: BytePath, name: BytePath): BytePath {
  return parent === "" ? name : `${parent}/${name}`;
}

function metadataIn(entry: TarEntry, kind: FileKind) {
  return {
    stat: { kind, mode: entry.mode, uid: entry.uid, gid: entry.gid, mtimeNs: entry.mtimeNs },
    xattrs: entry.xattrs,
  };
}

function makeSpecial(entry: TarEntry, at: BytePath): void {
  switch (entry.type) {
    case "symlink":
      fs.symlinkSync(toBuffer(entry.linkName), toBuffer(at));
      break;
    case "fifo":
      makeNode(toBuffer(at), S_IFIFO | 0o600);
      break;
    case "char":
    case "block": {
      const device = makeDevice(entry.device.major, entry.device.minor);
      if (entry.type === "char" && device === 0)
        throw new EngineError("invalid", "the char device 0:0 is reserved for whiteouts");
      makeDeviceNode(toBuffer(at), (entry.type === "char" ? S_IFCHR : S_IFBLK) | 0o600, device);
      break;
    }
    default:
      throw new EngineError("internal", `a ${entry.type} is not special`);
  }
}
