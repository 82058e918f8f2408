/** Consecutive ids that an ordinary user may use in a user namespace of their own. */
export interface IdRange {
  readonly start: number;
  readonly count: number;
}

/** Lines beyond these are not looked at: the kernel takes no more ranges in one map (user_namespaces(7)). */
const RANGES_MAX = 339;
const ID_MAX = 2 ** 32 - 2;

/** Who is granted ids. */
export interface SubordinateUser {
  readonly name: string;
  /** The user's number. */
  readonly id: number;
  /** The user's own id of the kind that is granted: of a user or of a group. */
  readonly own: number;
}

/**
 * The ranges that /etc/subuid or /etc/subgid (subuid(5)) grants to a user, who is named there by login or by number. Ranges that overlap
 * an earlier one or the user's own id are left out, since no map can hold them.
 */
export function parseSubordinateIds(text: string, user: SubordinateUser): IdRange[] {
  const ranges: IdRange[] = [];
  const taken: IdRange[] = [{ start: user.own, count: 1 }];
  for (const line of text.split("\n")) {
    const [, owner, start = "", count = ""] = /^([^:]+):(\d+):(\d+)\s*$/.exec(line) ?? [];
    if (owner === undefined || (owner !== user.name && owner !== String(user.id))) continue;
    const range = { start: Number(start), count: Number(count) };
    if (range.count === 0 || range.start + range.count - 1 > ID_MAX) continue;
    if (taken.some((other) => overlap(other, range))) continue;
    taken.push(range);
    ranges.push(range);
    if (ranges.length === RANGES_MAX) break;
  }
  return ranges;
}

function overlap(a: IdRange, b: IdRange): boolean {
  return a.start < b.start + b.count && b.start < a.start + a.count;
}
