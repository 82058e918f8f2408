import type { Credentials, CredentialTable } from "./credentials.js";
import { type Answer, CONTINUE, DONE, type Notification } from "./notification.js";
import type { Tracee } from "./tracee.js";

/** An id that means "as it is". */
const KEEP = 0xffff_ffff;
const EPERM = 1;
const EINVAL = 22;
const PR_SET_KEEPCAPS = 8n;
const GROUPS_MAX = 65_536;
const ID_BYTES = 4;
const DENIED: Answer = { kind: "error", errno: EPERM };

export type IdentityCall = (call: Notification, tracee: Tracee, table: CredentialTable) => Answer;

/** The calls that ask for ids or change them (credentials(7)), by name. */
export const IDENTITY_CALLS: Readonly<Record<string, IdentityCall>> = {
  getuid: asking(({ uid }) => uid),
  geteuid: asking(({ euid }) => euid),
  getgid: asking(({ gid }) => gid),
  getegid: asking(({ egid }) => egid),
  getresuid: writing(({ uid, euid, suid }) => [uid, euid, suid]),
  getresgid: writing(({ gid, egid, sgid }) => [gid, egid, sgid]),
  getgroups,
  setgroups,
  prctl,
  setuid: changing((now, [id = 0]) => {
    if (isPrivileged(now)) return { ...now, uid: id, euid: id, suid: id, fsuid: id };
    return [now.uid, now.suid].includes(id) ? { ...now, euid: id, fsuid: id } : undefined;
  }),
  setgid: changing((now, [id = 0]) => {
    if (isPrivileged(now)) return { ...now, gid: id, egid: id, sgid: id, fsgid: id };
    return [now.gid, now.sgid].includes(id) ? { ...now, egid: id, fsgid: id } : undefined;
  }),
  setreuid: changing((now, [real = KEEP, effective = KEEP]) => {
    const own = [now.uid, now.euid, now.suid];
    if (!may(now, own, [real, effective])) return undefined;
    const [uid, euid] = [pick(real, now.uid), pick(effective, now.euid)];
    const suid = real !== KEEP || (effective !== KEEP && euid !== now.uid) ? euid : now.suid;
    return { ...now, uid, euid, suid, fsuid: euid };
  }),
  setregid: changing((now, [real = KEEP, effective = KEEP]) => {
    const own = [now.gid, now.egid, now.sgid];
    if (!may(now, own, [real, effective])) return undefined;
    const [gid, egid] = [pick(real, now.gid), pick(effective, now.egid)];
    const sgid = real !== KEEP || (effective !== KEEP && egid !== now.gid) ? egid : now.sgid;
    return { ...now, gid, egid, sgid, fsgid: egid };
  }),
  setresuid: changing((now, [real = KEEP, effective = KEEP, saved = KEEP]) => {
    if (!may(now, [now.uid, now.euid, now.suid], [real, effective, saved])) return undefined;
    const euid = pick(effective, now.euid);
    return { ...now, uid: pick(real, now.uid), euid, suid: pick(saved, now.suid), fsuid: euid };
  }),
  setresgid: changing((now, [real = KEEP, effective = KEEP, saved = KEEP]) => {
    if (!may(now, [now.gid, now.egid, now.sgid], [real, effective, saved])) return undefined;
    const egid = pick(effective, now.egid);
    return { ...now, gid: pick(real, now.gid), egid, sgid: pick(saved, now.sgid), fsgid: egid };
  }),
  setfsuid: fileId("fsuid", ({ uid, euid, suid, fsuid }) => [uid, euid, suid, fsuid]),
  setfsgid: fileId("fsgid", ({ gid, egid, sgid, fsgid }) => [gid, egid, sgid, fsgid]),
};

function asking(id: (now: Credentials) => number): IdentityCall {
  return ({ tid }, _, table) => ({ kind: "value", value: id(table.of(tid)) });
}

function writing(ids: (now: Credentials) => readonly number[]): IdentityCall {
  return ({ tid, args }, tracee, table) => {
    ids(table.of(tid)).forEach((id, i) => {
      tracee.write(args[i] ?? 0n, encode([id]));
    });
    return DONE;
  };
}

function changing(change: (now: Credentials, ids: readonly number[]) => Credentials | undefined): IdentityCall {
  return ({ tid, args }, _, table) => {
    const next = change(
      table.of(tid),
      args.map((argument) => Number(BigInt.asUintN(32, argument))),
    );
    if (next === undefined) return DENIED;
    table.set(tid, next);
    return DONE;
  };
}

/** setfsuid(2) gives the id that was, and fails in silence. */
function fileId(key: "fsuid" | "fsgid", own: (now: Credentials) => readonly number[]): IdentityCall {
  return ({ tid, args }, _, table) => {
    const now = table.of(tid);
    const id = Number(BigInt.asUintN(32, args[0] ?? 0n));
    if (id !== KEEP && may(now, own(now), [id])) table.set(tid, { ...now, [key]: id });
    return { kind: "value", value: now[key] };
  };
}

function getgroups({ tid, args }: Notification, tracee: Tracee, table: CredentialTable): Answer {
  const { groups } = table.of(tid);
  const room = Number(BigInt.asIntN(32, args[0] ?? 0n));
  if (room !== 0) {
    if (room < groups.length) return { kind: "error", errno: EINVAL };
    tracee.write(args[1] ?? 0n, encode(groups));
  }
  return { kind: "value", value: groups.length };
}

function setgroups({ tid, args }: Notification, tracee: Tracee, table: CredentialTable): Answer {
  const now = table.of(tid);
  if (!isPrivileged(now)) return DENIED;
  const count = Number(BigInt.asUintN(32, args[0] ?? 0n));
  if (count > GROUPS_MAX) return { kind: "error", errno: EINVAL };
  const list = count === 0 ? Buffer.alloc(0) : tracee.read(args[1] ?? 0n, count * ID_BYTES);
  const groups = Array.from({ length: list.length / ID_BYTES }, (_, i) => list.readUInt32LE(i * ID_BYTES));
  table.set(tid, { ...now, groups });
  return DONE;
}

function may(now: Credentials, own: readonly number[], wanted: readonly number[]): boolean {
  return isPrivileged(now) || wanted.every((id) => id === KEEP || own.includes(id));
}

function isPrivileged({ euid, keepsCapabilities }: Credentials): boolean {
  return euid === 0 || keepsCapabilities;
}

/** The kernel does what is asked; what it keeps is nothing here, where nobody ever ceases to be root for it. */
function prctl({ tid, args }: Notification, _: Tracee, table: CredentialTable): Answer {
  if (args[0] === PR_SET_KEEPCAPS) table.set(tid, { ...table.of(tid), keepsCapabilities: args[1] === 1n });
  return CONTINUE;
}

function pick(wanted: number, now: number): number {
  return wanted === KEEP ? now : wanted;
}

function encode(ids: readonly number[]): Buffer {
  const data = Buffer.alloc(ids.length * ID_BYTES);
  ids.forEach((id, i) => {
    data.writeUInt32LE(id, i * ID_BYTES);
  });
  return data;
}
