import fs from "node:fs";
import { SystemCallError } from "../../base/index.js";
import {
  formatNote,
  NOTE_XATTR,
  type OwnerNote,
  ownerOfTime,
  parseNote,
  ROOT_NOTE,
  saysNothing,
  timeOfOwner,
} from "../../snapshot/index.js";
import type { Native } from "./native.js";

const EOVERFLOW = 75;
const ENOTSUP = ["ENOTSUP", "EOPNOTSUPP"];
const { S_IFMT, S_IFREG, S_IFDIR } = fs.constants;

/** An open file (O_PATH will do) and the note that is kept of its owner. */
export class NotedFile {
  readonly #native: Native;
  readonly #fd: number;
  readonly stat: fs.BigIntStats;

  constructor(native: Native, fd: number) {
    this.#native = native;
    this.#fd = fd;
    this.stat = fs.fstatSync(fd, { bigint: true });
  }

  get type(): number {
    return Number(this.stat.mode) & S_IFMT;
  }

  /** Whether its owner is in its time of access. */
  get isTimed(): boolean {
    return this.type !== S_IFREG && this.type !== S_IFDIR;
  }

  /** Undefined where nothing is noted. */
  note(): OwnerNote | undefined {
    if (this.isTimed) return ownerOfTime(this.stat.atimeNs);
    const value = this.#native.getXattr(this.#fd, NOTE_XATTR);
    return value && parseNote(value);
  }

  /** Notes an owner. What can't keep a note (a file in memory, of an older kernel) goes without: no layer holds it. */
  setNote(note: OwnerNote): void {
    if (this.isTimed) this.#setTime(note);
    else {
      try {
        if (!saysNothing(note)) this.#native.setXattr(this.#fd, NOTE_XATTR, formatNote(note));
        else if (this.note()) this.#native.removeXattr(this.#fd, NOTE_XATTR);
      } catch (error) {
        if (!(error instanceof SystemCallError) || !ENOTSUP.includes(error.code)) throw error;
      }
    }
  }

  /** Changes the owner as chown(2) does; undefined stays. */
  chown(uid: number | undefined, gid: number | undefined): void {
    const now = this.note() ?? ROOT_NOTE;
    this.#native.touchOwner(this.#fd);
    this.setNote({ ...now, uid: uid ?? now.uid, gid: gid ?? now.gid });
  }

  #setTime(note: OwnerNote): void {
    if (saysNothing(note)) {
      if (this.note()) this.#native.setTimes(this.#fd, this.stat.mtimeNs, undefined);
      return;
    }
    const time = timeOfOwner(note);
    if (time === undefined) throw new SystemCallError("chown", EOVERFLOW, "a link");
    this.#native.setTimes(this.#fd, time, undefined);
    if (fs.fstatSync(this.#fd, { bigint: true }).atimeNs !== time)
      throw new SystemCallError("chown", EOVERFLOW, "a link in this file system");
  }
}
