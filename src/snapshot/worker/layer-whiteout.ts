import fs from "node:fs";
import path from "node:path";
import {
  EngineError,
  getXattr,
  makeNode,
  removeXattr,
  S_IFCHR,
  S_IFREG,
  setXattr,
  systemCode,
} from "../../base/index.js";
import { type BytePath, fromText, toBuffer } from "./bytes.js";
import { removeTree } from "./remove.js";

/**
 * Hides a name of lower layers: with overlayfs's mark, the char device 0:0. Where the kernel refuses that device (on an overlay file
 * system, as in a container), with an empty file without permissions that carries an attribute of ours. A layer with such a file is
 * never mounted as overlay: `whiteoutsAreMarked`.
 */
export function makeWhiteout(at: BytePath): void {
  try {
    makeNode(toBuffer(at), S_IFCHR, 0);
  } catch (error) {
    if (systemCode(error) !== "EPERM") throw error;
    makeMarked(at);
  }
}

/** What lstat(2) says of a file, as far as it tells a whiteout. */
export interface WhiteoutLook {
  /** The type bits of its mode. */
  readonly type: number;
  /** The other bits. */
  readonly mode: number;
  readonly rdev: number;
  readonly sizeBytes: number;
}

/** Whether `makeWhiteout` made the file at AT. */
export function isWhiteout(at: BytePath, { type, mode, rdev, sizeBytes }: WhiteoutLook): boolean {
  if (type === S_IFCHR) return rdev === 0;
  // Attributes are only asked for where hardly a file gets to.
  return type === S_IFREG && sizeBytes === 0 && mode === 0 && isMarked(at);
}

/** Makes a whiteout that is a file an ordinary one; false where it is a device. For layers in which whiteouts can't be ours. */
export function dropWhiteoutMark(at: BytePath): boolean {
  const set = marksOf(at);
  for (const name of set) removeXattr(toBuffer(at), name);
  return set.length > 0;
}

/** Whether an attribute is the mark. Archives and steps must not set it: it is left out when files are unpacked and committed. */
export function isWhiteoutXattr(name: string): boolean {
  return MARKS.some((mark) => mark === name);
}

/**
 * Whether whiteouts are, or once were, marked files in the directory of layers LAYERS. That is remembered beside them, so that they are
 * never mounted as overlay wherever they are moved. Throws `data-loss` where the marks got lost in a move: what the layers deleted
 * would be back.
 */
export function whiteoutsAreMarked(layers: string): boolean {
  const sample = fromText(path.join(layers, SAMPLE));
  if (fs.existsSync(toBuffer(sample))) {
    if (isMarked(sample)) return true;
    throw new EngineError("data-loss", `the layers in ${layers} were copied without their extended attributes`, {
      hint: "remove the state directory, or copy it again with all attributes (cp -a, rsync -aX, tar --xattrs)",
    });
  }
  const probe = fs.mkdtempSync(path.join(layers, "probe-"));
  try {
    const made = fromText(path.join(probe, SAMPLE));
    makeWhiteout(made);
    if (!isMarked(made)) return false;
    fs.renameSync(toBuffer(made), toBuffer(sample));
    return true;
  } finally {
    removeTree(fromText(probe));
  }
}

/** Only root of the machine may set the first; root of a user namespace has to take the second. */
const MARKS = ["trusted.ashlar.whiteout", "user.ashlar.whiteout"] as const;
const VALUE = Buffer.from("y");
const SAMPLE = "marked-whiteout";

function isMarked(at: BytePath): boolean {
  return marksOf(at).length > 0;
}

function marksOf(at: BytePath): readonly string[] {
  return MARKS.filter((name) => getXattr(toBuffer(at), name) !== undefined);
}

function makeMarked(at: BytePath): void {
  const file = toBuffer(at);
  fs.closeSync(fs.openSync(file, NEW_FILE_FLAGS, 0));
  const [trusted, user] = MARKS;
  try {
    setXattr(file, trusted, VALUE);
  } catch (error) {
    if (systemCode(error) !== "EPERM") throw error;
    setXattr(file, user, VALUE);
  }
}

const NEW_FILE_FLAGS = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
