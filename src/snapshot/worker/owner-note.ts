/**
 * What a file is to be, where the kernel lets an ordinary user make nothing but files of their own. Files and directories carry it as an
 * attribute; a device is an empty file with one. Links, pipes and sockets can't have attributes of users: their owner is in their time of
 * access, which no layer holds and which, being far in the future, nothing but setting it changes (mount(8), relatime).
 */
export interface OwnerNote {
  readonly uid: number;
  readonly gid: number;
  readonly device?: NotedDevice | undefined;
}

export interface NotedDevice {
  readonly kind: "char" | "block";
  readonly rdev: number;
}

export const NOTE_XATTR = "user.ashlar.owner";
export const ROOT_NOTE: OwnerNote = { uid: 0, gid: 0 };

/** Seconds since the epoch, in the year 2242, from which a time of access tells an owner; ext4 knows times until 2446. */
const FIRST_SECOND = 2 ** 33;
/** Ids that find room in a time. */
const TIMED_UID_MAX = 2 ** 31 - 1;
const TIMED_GID_MAX = 999_999_999;
const NANOSECONDS = 1_000_000_000n;
const TEXT = /^(\d{1,10}):(\d{1,10})(?::([cb])(\d{1,16}))?$/;

/** The attribute's value. */
export function formatNote({ uid, gid, device }: OwnerNote): Buffer {
  const suffix = device === undefined ? "" : `:${device.kind === "char" ? "c" : "b"}${device.rdev}`;
  return Buffer.from(`${uid}:${gid}${suffix}`, "latin1");
}

/** Undefined for what `formatNote` never gives. */
export function parseNote(value: Uint8Array): OwnerNote | undefined {
  const [, uid, gid, kind, rdev] = TEXT.exec(Buffer.from(value).toString("latin1")) ?? [];
  if (uid === undefined || gid === undefined) return undefined;
  const owner = { uid: Number(uid), gid: Number(gid) };
  if (kind === undefined) return owner;
  return { ...owner, device: { kind: kind === "c" ? "char" : "block", rdev: Number(rdev) } };
}

/** Whether a note says nothing that an ordinary file of root would not. */
export function saysNothing({ uid, gid, device }: OwnerNote): boolean {
  return uid === 0 && gid === 0 && device === undefined;
}

/** The time of access that tells an owner, in nanoseconds since the epoch; undefined where its ids are too large for one. */
export function timeOfOwner({ uid, gid }: OwnerNote): bigint | undefined {
  if (uid > TIMED_UID_MAX || gid > TIMED_GID_MAX) return undefined;
  return BigInt(FIRST_SECOND + uid) * NANOSECONDS + BigInt(gid);
}

/** The owner that a time of access tells, if it does. */
export function ownerOfTime(atimeNs: bigint): OwnerNote | undefined {
  const second = atimeNs / NANOSECONDS - BigInt(FIRST_SECOND);
  if (second < 0n || second > BigInt(TIMED_UID_MAX)) return undefined;
  return { uid: Number(second), gid: Number(atimeNs % NANOSECONDS) };
}
