import { EngineError } from "../../base/index.js";

/** A line of /etc/passwd. Broken lines are read as far as they go: users' files misbehave. */
export interface PasswdUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** A line of /etc/group. */
export interface PasswdGroup {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Reads /etc/passwd (passwd(5)). */
export function parsePasswd(text: string): PasswdUser[] {
  return lines(text).map((line) => {
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
    return { name, uid: number(uid), gid: number(gid), home };
  });
}

/** Reads /etc/group (group(5)). */
export function parseGroup(text: string): PasswdGroup[] {
  return lines(text)
    .filter((line) => !line.startsWith("#"))
    .map((line) => {
      const [name = "", , gid = "", members = ""] = line.split(":");
      return { name, gid: number(gid), members: members === "" ? [] : members.split(",") };
    });
}

/** Who a process runs as. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Every group of the process, its primary one first. */
  readonly groups: readonly number[];
  /** The home directory that the user's first line in /etc/passwd names; "/" without one. */
  readonly home: string;
}

/** The text of a file of the image; undefined where there is none that can be read as such. Throws where it is too large. */
export interface UserFiles {
  passwd(): string | undefined;
  group(): string | undefined;
}

/**
 * Whom a USER of an image config means (image-spec, config, "User"): `user`, `uid`, each with `:group` or `:gid`. Two numbers need no
 * files and get no other groups; names must be known; an empty user is root, whatever the files hold.
 */
export function findUser(user: string, files: UserFiles): ResolvedUser {
  const numbers = bothNumbers(user);
  if (numbers) return withHome(numbers.uid, numbers.gid, [], files);
  try {
    return lookUp(user === "" ? "0" : user, files);
  } catch (error) {
    if (user === "") return { uid: 0, gid: 0, groups: [0], home: "/" };
    throw error;
  }
}

function lookUp(spec: string, files: UserFiles): ResolvedUser {
  const [userPart = "", groupPart = ""] = spec.split(":");
  const uid = parseId(userPart);
  const gid = parseId(groupPart);
  const users = parsePasswd(
    attempt(`unable to find user ${userPart === "" ? "0" : userPart}`, () => files.passwd()) ?? "",
  );
  const known = users.find((user) =>
    userPart === "" ? user.uid === 0 : uid === undefined ? user.name === userPart : user.uid === uid,
  );
  if (!known && uid === undefined && userPart !== "") throw unknown("user", userPart, "passwd");
  const foundUid = known?.uid ?? uid ?? 0;
  if (groupPart === "" && known === undefined) return withHome(foundUid, 0, [], files);

  const groups = parseGroup(attempt(`unable to find groups for spec ${known?.name ?? ""}`, () => files.group()) ?? "");
  if (groupPart === "") {
    const others = groups
      .filter((group) => known !== undefined && group.members.includes(known.name))
      .map((group) => group.gid);
    return withHome(foundUid, known?.gid ?? 0, others, files);
  }
  const group = groups.find((candidate) => (gid === undefined ? candidate.name === groupPart : candidate.gid === gid));
  if (!group && gid === undefined) throw unknown("group", groupPart, "group");
  return withHome(foundUid, group?.gid ?? gid ?? 0, [], files);
}

function withHome(uid: number, gid: number, others: readonly number[], files: UserFiles): ResolvedUser {
  const groups = others.includes(gid) ? others : [gid, ...others];
  return { uid, gid, groups, home: homeOf(uid, files) };
}

function homeOf(uid: number, files: UserFiles): string {
  try {
    return parsePasswd(files.passwd() ?? "").find((user) => user.uid === uid)?.home || "/";
  } catch {
    return "/";
  }
}

/** `uid:gid`, where `root` counts as a number. */
function bothNumbers(user: string): { readonly uid: number; readonly gid: number } | undefined {
  const match = /^(root|[0-9]+):(root|[0-9]+)$/.exec(user);
  if (!match) return undefined;
  const [uid = Number.NaN, gid = Number.NaN] = match.slice(1).map((part) => (part === "root" ? 0 : Number(part)));
  return uid <= UINT32_MAX && gid <= UINT32_MAX ? { uid, gid } : undefined;
}

const UINT32_MAX = 2 ** 32 - 1;
const ID_MAX = 2 ** 31 - 1;

/** An id, or undefined for a name. */
function parseId(text: string): number | undefined {
  if (!/^[-+]?[0-9]+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > ID_MAX) throw new EngineError("invalid", `uids and gids must be in range 0-${ID_MAX}`);
  return id;
}

function unknown(what: string, name: string, file: string): EngineError {
  return new EngineError("not-found", `unable to find ${what} ${name}: no matching entries in ${file} file`);
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new EngineError("invalid", `${what}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

function lines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function number(text: string): number {
  const value = /^[-+]?[0-9]+$/.test(text) ? Number(text) : 0;
  return Number.isSafeInteger(value) ? value : 0;
}
