import fs from "node:fs";
import path from "node:path";
import { makeNode, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, systemCode } from "../../base/index.js";
import type { OwnerNote } from "../../snapshot/index.js";
import { type FileCall, type FileCallContext, fileName } from "./file-calls.js";
import { NotedFile } from "./noted-file.js";
import { type Answer, CONTINUE, DONE, type Listener, type Notification } from "./notification.js";
import { bytes, type FileName, HERE, type Place } from "./tracee.js";

const O_PATH = 0o10000000;
const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_TRUNC, O_WRONLY, S_ISUID } = { ...fs.constants, S_ISUID: 0o4000 };
const S_ISGID = 0o2000;
const PERMISSION_BITS = 0o7777;

/** Calls that make files: these get the owner that their maker believes to be. */
export function creationCalls(listener: Listener): Readonly<Record<string, FileCall>> {
  const opened = (name: Names, flags: number, mode: number): Making => ({ ...name, kind: "open", flags, mode });
  return {
    open: making(listener, ({ args: [at, flags, mode] }) => opened({ at }, number(flags), number(mode))),
    openat: making(listener, ({ args: [dirfd, at, flags, mode] }) =>
      opened({ dirfd, at }, number(flags), number(mode)),
    ),
    creat: making(listener, ({ args: [at, mode] }) => opened({ at }, O_CREAT | O_WRONLY | O_TRUNC, number(mode))),
    mkdir: making(listener, ({ args: [at, mode] }) => ({ at, kind: "mkdir", mode: number(mode) })),
    mkdirat: making(listener, ({ args: [dirfd, at, mode] }) => ({ dirfd, at, kind: "mkdir", mode: number(mode) })),
    symlink: making(listener, ({ args: [target, at] }) => ({ at, kind: "symlink", target })),
    symlinkat: making(listener, ({ args: [target, dirfd, at] }) => ({ dirfd, at, kind: "symlink", target })),
    mknod: making(listener, ({ args: [at, mode, rdev] }) => node({ at }, number(mode), rdev)),
    mknodat: making(listener, ({ args: [dirfd, at, mode, rdev] }) => node({ dirfd, at }, number(mode), rdev)),
  };
}

interface Names {
  readonly dirfd?: bigint | undefined;
  /** The address of the new file's name. */
  readonly at: bigint | undefined;
}

type Making = Names &
  (
    | { readonly kind: "open"; readonly flags: number; readonly mode: number }
    | { readonly kind: "mkdir"; readonly mode: number }
    | { readonly kind: "symlink"; readonly target: bigint | undefined }
    | { readonly kind: "mknod"; readonly mode: number; readonly rdev: number }
  );

function number(argument: bigint | undefined): number {
  return Number(BigInt.asUintN(32, argument ?? 0n));
}

function node(names: Names, mode: number, rdev: bigint | undefined): Making {
  return { ...names, kind: "mknod", mode, rdev: number(rdev) };
}

function making(listener: Listener, read: (call: Notification) => Making): FileCall {
  return (call, context) => make(read(call), { ...context, lend: (fd, flags) => listener.lend(call, fd, flags) });
}

interface MakingContext extends FileCallContext {
  /** Gives the caller an open file. */
  readonly lend: (fd: number, flags: number) => number;
}

function make(what: Making, context: MakingContext): Answer {
  const name = fileName({ dirfd: what.dirfd, path: what.at }, context.tracee);
  if (name.path === "") return CONTINUE; // ENOENT
  using place = context.tracee.place({ dirfd: name.path.startsWith("/") ? HERE : name.dirfd });
  const note = noteFor(what, name, { context, place });
  if (note === undefined || !context.isWaiting()) return CONTINUE;
  const target = what.kind === "symlink" ? context.tracee.readText(what.target ?? 0n) : "";
  const umask = Number.parseInt(context.tracee.status("Umask") ?? "0", 8);
  if (what.kind === "open") return open({ ...what, mode: what.mode & ~umask }, { name, place, note, context });
  place.inside(() => create(what, { path: bytes(name.path), umask, target: bytes(target) }));
  noteAt(name, { place, note, context });
  return DONE;
}

/** What is to be noted of a new file; undefined where the kernel makes what it is to be. */
function noteFor(
  what: Making,
  name: FileName,
  { context, place }: { readonly context: FileCallContext; readonly place: Place },
): OwnerNote | undefined {
  const { fsuid, fsgid } = context.table.of(context.tracee.tid);
  const device = deviceOf(what);
  const parent = place.inside(() => fs.openSync(bytes(parentOf(name.path)), O_PATH | O_DIRECTORY));
  try {
    const directory = new NotedFile(context.native, parent);
    const inherits = (Number(directory.stat.mode) & S_ISGID) !== 0;
    const gid = inherits ? (directory.note()?.gid ?? 0) : fsgid;
    return fsuid === 0 && gid === 0 && device === undefined ? undefined : { uid: fsuid, gid, device };
  } finally {
    fs.closeSync(parent);
  }
}

/** A device that only root of the machine may make. The one that stands for a deleted file everybody may. */
function deviceOf(what: Making): OwnerNote["device"] {
  if (what.kind !== "mknod") return undefined;
  const type = what.mode & S_IFMT;
  if (type === S_IFBLK) return { kind: "block", rdev: what.rdev };
  return type === S_IFCHR && what.rdev !== 0 ? { kind: "char", rdev: what.rdev } : undefined;
}

function parentOf(name: string): string {
  return path.posix.dirname(name);
}

interface Created {
  readonly name: FileName;
  readonly place: Place;
  readonly note: OwnerNote;
  readonly context: MakingContext;
}

/** Only a file that the call makes gets an owner. It is made here and handed over open. */
function open(what: { readonly flags: number; readonly mode: number }, made: Created): Answer {
  const { name, place, note, context } = made;
  const follow = (what.flags & (O_NOFOLLOW | O_EXCL)) === 0;
  if (exists(place, name.path, follow)) return CONTINUE;
  const fd = place.inside(() => fs.openSync(bytes(name.path), what.flags, what.mode));
  try {
    new NotedFile(context.native, fd).setNote(note);
    return { kind: "value", value: context.lend(fd, what.flags) };
  } finally {
    fs.closeSync(fd);
  }
}

function exists(place: Place, file: string, follow: boolean): boolean {
  try {
    fs.closeSync(place.open(file, follow));
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

interface Creation {
  readonly path: Buffer;
  readonly umask: number;
  /** Of a link. */
  readonly target: Buffer;
}

function create(what: Exclude<Making, { readonly kind: "open" }>, { path: at, umask, target }: Creation): void {
  switch (what.kind) {
    case "mkdir":
      fs.mkdirSync(at, { mode: what.mode & PERMISSION_BITS & ~umask });
      return;
    case "symlink":
      fs.symlinkSync(target, at);
      return;
    case "mknod": {
      const type = what.mode & S_IFMT;
      const mode = what.mode & PERMISSION_BITS & ~umask;
      const isDevice = type === S_IFCHR || type === S_IFBLK;
      makeNode(at, (isDevice || type === 0 ? S_IFREG : type === S_IFIFO ? S_IFIFO : type) | mode);
    }
  }
}

function noteAt(name: FileName, { place, note, context }: Omit<Created, "name">): void {
  const fd = place.open(name.path.replace(/\/+$/, ""), false);
  try {
    new NotedFile(context.native, fd).setNote(note);
  } finally {
    fs.closeSync(fd);
  }
}

const X_BITS = 0o111;

/** A program that runs as its owner makes its caller one, as far as they are known here; the kernel runs it in any case. */
export const runProgram =
  (argumentsOf: (call: Notification) => Names & { readonly follow: boolean }): FileCall =>
  (call, context) => {
    const now = context.table.of(context.tracee.tid);
    if (now.euid === 0 && now.uid === 0 && !now.keepsCapabilities) return CONTINUE;
    const names = argumentsOf(call);
    const name = fileName({ dirfd: names.dirfd, path: names.at }, context.tracee);
    if (name.path === "") return CONTINUE;
    using place = context.tracee.place(name);
    const fd = place.open(name.path, names.follow);
    try {
      const file = new NotedFile(context.native, fd);
      const mode = Number(file.stat.mode);
      const owner = file.note() ?? { uid: 0, gid: 0 };
      if (file.type !== S_IFREG || (mode & X_BITS) === 0) return CONTINUE;
      const asOwner = (mode & S_ISUID) === 0 ? {} : { euid: owner.uid, suid: owner.uid, fsuid: owner.uid };
      const asGroup = (mode & S_ISGID) === 0 ? {} : { egid: owner.gid, sgid: owner.gid, fsgid: owner.gid };
      if (context.isWaiting())
        context.table.set(context.tracee.tid, { ...now, ...asOwner, ...asGroup, keepsCapabilities: false });
      return CONTINUE;
    } finally {
      fs.closeSync(fd);
    }
  };
