import { posix } from "node:path";
import { createPatternMatcher, type Digest, type FileDifference, type PatternMatcher } from "../../base/index.js";
import type { TreeEntry, TreeListing } from "../../snapshot/index.js";

export interface ChangedFile {
  readonly path: string;
  readonly change: FileDifference;
}

/** What differs, and how many more files do than are listed. */
export interface TreeDifference {
  readonly changes: readonly ChangedFile[];
  readonly more: number;
}

/** Looks up what is in a directory, or in a part of one; undefined where that is not known any more. */
export type ReadDirectory = (digest: Digest) => TreeListing | undefined;

/** Differences that are told apart; more are only counted. */
const CHANGES_MAX = 200;

/**
 * How the selection NEWER differs from OLDER, in the order of paths. Only directories that differ are read. A file that went and one
 * that came with the same traits are one that was renamed.
 */
export function treeDifference(
  older: readonly Digest[],
  newer: readonly Digest[],
  read: ReadDirectory,
): TreeDifference {
  const comparison: Comparison = { read, raw: [], more: 0 };
  for (let i = 0; i < Math.max(older.length, newer.length); i++)
    compareDirectories({ older: older[i], newer: newer[i] }, comparison);
  return { changes: withRenames(withoutNames(withoutEnds(once(comparison.raw)))), more: comparison.more };
}

/** The same where the rules of an ignore file were others: a file that they now leave out was not deleted. */
export function withIgnoreRules(
  changes: readonly ChangedFile[],
  older: readonly string[],
  newer: readonly string[],
): readonly ChangedFile[] {
  if (older.join("\n") === newer.join("\n")) return changes;
  const [before, after] = [matcherOf(older), matcherOf(newer)];
  if (before === undefined || after === undefined) return changes;
  return changes.map(({ path, change }) => {
    if (change.kind === "deleted" && after.matches(path) && !before.matches(path))
      return { path, change: { kind: "ignored", ...ruleOf(path, newer, older) } };
    if (change.kind === "added" && before.matches(path) && !after.matches(path))
      return { path, change: { kind: "unignored", ...ruleOf(path, older, newer) } };
    return { path, change };
  });
}

type RawChange = ChangedFile & { readonly traits: string; readonly was?: TreeEntry; readonly is?: TreeEntry };

interface Pair {
  readonly older: Digest | undefined;
  readonly newer: Digest | undefined;
  readonly path?: string;
}

interface Comparison {
  readonly read: ReadDirectory;
  readonly raw: RawChange[];
  more: number;
}

function compareDirectories(top: Pair, comparison: Comparison): void {
  const { read, raw } = comparison;
  const pending: Pair[] = [top];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const found = differingEntries(pair, read);
    if (found === undefined) continue;
    const below: Pair[] = [];
    for (const [name, [was, is]] of matched(...found)) {
      const path = pair.path === undefined ? textOf(name) : `${pair.path}/${textOf(name)}`;
      const [wasDirectory, isDirectory] = [was?.[1] === "dir", is?.[1] === "dir"];
      // Of a directory that came or went, what is in it is told.
      if (wasDirectory || isDirectory)
        below.push({
          path,
          older: wasDirectory ? detailOf(was) : undefined,
          newer: isDirectory ? detailOf(is) : undefined,
        });
      const change = changeOf(was, is);
      if (!change || isSpokenFor(change, was ?? is, { wasDirectory, isDirectory }, read)) continue;
      if (raw.length < CHANGES_MAX)
        raw.push({
          path,
          change,
          traits: JSON.stringify((is ?? was)?.slice(1)),
          ...(was && { was }),
          ...(is && { is }),
        });
      else comparison.more++;
    }
    pending.push(...below.reverse());
  }
}

/** The entries of two directories but for parts that they have in common; undefined where one is not known. */
function differingEntries(
  { older, newer }: Pair,
  read: ReadDirectory,
): readonly [TreeEntry[], TreeEntry[]] | undefined {
  const [before, after]: [TreeEntry[], TreeEntry[]] = [[], []];
  const pending = [{ older, newer }];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    if (pair.older === pair.newer) continue;
    const [was, is] = [pair.older, pair.newer].map((digest) => (digest === undefined ? [] : read(digest)));
    if (was === undefined || is === undefined) return undefined;
    if ("split" in was && "split" in is) {
      for (const [i, part] of was.split.entries())
        pending.push({ older: part ?? undefined, newer: is.split[i] ?? undefined });
      continue;
    }
    if (!addEntries(was, before, read) || !addEntries(is, after, read)) return undefined;
  }
  return [before, after];
}

/** Adds all that LISTING has; false where a part of it is not known. */
function addEntries(listing: TreeListing, entries: TreeEntry[], read: ReadDirectory): boolean {
  const pending = [listing];
  for (let each = pending.pop(); each !== undefined; each = pending.pop()) {
    if (!("split" in each)) {
      for (const entry of each) entries.push(entry);
      continue;
    }
    for (const part of each.split) {
      const found = part === null ? [] : read(part);
      if (found === undefined) return false;
      pending.push(found);
    }
  }
  return true;
}

function detailOf(entry: TreeEntry | undefined): Digest | undefined {
  return entry?.[4] as Digest | undefined;
}

/** Whether a directory that came or went holds something that tells of it. */
function isSpokenFor(
  { kind }: FileDifference,
  entry: TreeEntry | undefined,
  { wasDirectory, isDirectory }: { readonly wasDirectory: boolean; readonly isDirectory: boolean },
  read: ReadDirectory,
): boolean {
  if (!(kind === "added" && isDirectory) && !(kind === "deleted" && wasDirectory)) return false;
  const digest = detailOf(entry);
  const listing = digest === undefined ? [] : (read(digest) ?? []);
  return "split" in listing || listing.length > 0;
}

function matched(
  before: readonly TreeEntry[],
  after: readonly TreeEntry[],
): ReadonlyMap<string, readonly [TreeEntry | undefined, TreeEntry | undefined]> {
  const older = new Map(before.map((entry) => [entry[0], entry]));
  const newer = new Map(after.map((entry) => [entry[0], entry]));
  const names = [...new Set([...older.keys(), ...newer.keys()])].sort((a, b) => (a < b ? -1 : 1));
  return new Map(names.map((name) => [name, [older.get(name), newer.get(name)]]));
}

/** The first thing that differs, the most telling one first; what is in a directory is no difference of its own. */
function changeOf(was: TreeEntry | undefined, is: TreeEntry | undefined): FileDifference | undefined {
  if (was === undefined) return { kind: "added" };
  if (is === undefined) return { kind: "deleted" };
  const [, oldKind, oldMode, oldOwner, oldDetail, oldAttributes] = was;
  const [, kind, mode, owner, detail, attributes] = is;
  const [wasLink, isLink] = [oldKind, kind].map((each) => (each === "way" ? "symlink" : each));
  if (wasLink !== isLink) return { kind: "type", from: wasLink ?? oldKind, to: isLink ?? kind };
  if (isLink === "symlink" && oldDetail !== detail)
    return { kind: "target", from: textOf(oldDetail), to: textOf(detail) };
  const [from, to] = kind === "file" ? [linked(oldDetail), linked(detail)] : [];
  if (from !== to) return { kind: "link", ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
  if (kind !== "dir" && oldDetail !== detail) return { kind: "content" };
  // What doesn't count in one of them is empty there.
  const modes = modesThatDiffer(oldMode, mode);
  if (modes) return { kind: "mode", ...modes };
  if (oldOwner !== owner && oldOwner !== "" && owner !== "") return { kind: "owner", from: oldOwner, to: owner };
  if (oldAttributes !== attributes) return { kind: "attributes" };
  return undefined;
}

/** Without what came and went where a link that is only followed leads now, or led before: it did because of the link. */
function withoutEnds(raw: readonly RawChange[]): readonly RawChange[] {
  const ends = new Set(raw.flatMap(({ path, was, is }) => [was, is].flatMap((entry) => endOf(path, entry) ?? [])));
  // What is there in place of a link, or was.
  for (const { path, was, is } of raw) if (isWay(was) !== isWay(is)) ends.add(path);
  if (ends.size === 0) return raw;
  return raw.filter(({ path, change }) => {
    if (change.kind !== "added" && change.kind !== "deleted") return true;
    const names = path.split("/");
    return !names.some((_, i) => ends.has(names.slice(0, i + 1).join("/")));
  });
}

/** Where a link at PATH leads that is only followed. */
function endOf(path: string, entry: TreeEntry | undefined): string | undefined {
  if (entry === undefined || !isWay(entry)) return undefined;
  const target = textOf(entry[4]);
  return posix.join(target.startsWith("/") ? "/" : `/${posix.dirname(path)}`, target).replace(/^\/|\/$/g, "");
}

function isWay(entry: TreeEntry | undefined): boolean {
  return entry?.[1] === "way";
}

/** Each path once: of two lists of selections those of one place are not always the same ones. */
function once(raw: readonly RawChange[]): readonly RawChange[] {
  const known = new Map<string, RawChange>();
  for (const each of raw) {
    const { path } = each;
    const other = known.get(path);
    if (other === undefined) {
      known.set(path, each);
      continue;
    }
    const [was, is] = [each.was ?? other.was, each.is ?? other.is];
    const change = changeOf(was, is);
    if (change === undefined) known.delete(path);
    else known.set(path, { ...each, change, ...(was && { was }), ...(is && { is }) });
  }
  return [...known.values()];
}

/**
 * Without the files that are what they were, but for the name that comes first of the names of a hard link: one before it came or went, which
 * is told.
 */
function withoutNames(raw: readonly RawChange[]): readonly RawChange[] {
  const byPath = new Map(raw.map((each) => [each.path, each]));
  return raw.filter(({ change, was, is }) => {
    if (change.kind !== "link") return true;
    const { from, to } = change;
    const [oldFirst, first] = [byPath.get(from ?? ""), byPath.get(to ?? "")];
    if (first?.change.kind !== "added" && oldFirst?.change.kind !== "deleted") return true;
    return !hasSameContent(from === undefined ? was : oldFirst?.was, to === undefined ? is : first?.is);
  });
}

/** Whether two entries say of files but for their names the same. */
function hasSameContent(was: TreeEntry | undefined, is: TreeEntry | undefined): boolean {
  return was !== undefined && is !== undefined && was.slice(1).join("\0") === is.slice(1).join("\0");
}

/** The file that one is another name of. */
function linked(detail: string): string | undefined {
  return detail.startsWith(LINK) ? textOf(detail.slice(LINK.length)) : undefined;
}

/** How the detail of such a file begins. */
const LINK = "link ";

/**
 * The modes of a file where they differ; where a copy makes others of them, it is those that count, and the file's own that are told.
 * Undefined where what doesn't count in one of them is empty.
 */
function modesThatDiffer(older: string, newer: string): { readonly from: string; readonly to: string } | undefined {
  if (older === newer || older === "" || newer === "") return undefined;
  const [[was = "", oldFile = was], [is = "", file = is]] = [older.split(" "), newer.split(" ")];
  // Another change of modes is a cause of its own.
  if (was === is || oldFile === file) return undefined;
  return { from: octal(oldFile), to: octal(file) };
}

function octal(mode: string): string {
  return mode.padStart(4, "0");
}

function withRenames(raw: readonly RawChange[]): readonly ChangedFile[] {
  const gone = new Map<string, RawChange>();
  for (const each of raw) if (each.change.kind === "deleted") gone.set(each.traits, each);
  const renamed = new Map<RawChange, RawChange>();
  for (const each of raw) {
    const from = each.change.kind === "added" ? gone.get(each.traits) : undefined;
    if (!from) continue;
    gone.delete(each.traits);
    renamed.set(each, from);
  }
  const spokenFor = new Set(renamed.values());
  return raw.flatMap((each): readonly ChangedFile[] => {
    const from = renamed.get(each);
    if (from) return [{ path: each.path, change: { kind: "renamed", from: from.path } }];
    return spokenFor.has(each) ? [] : [{ path: each.path, change: each.change }];
  });
}

/** The first rule that PATH is left out by and that was not there before. */
function ruleOf(path: string, rules: readonly string[], others: readonly string[]): { readonly rule?: string } {
  const fresh = rules.filter((rule) => !others.includes(rule));
  const rule = fresh.find((each) => !each.startsWith("!") && matcherOf([each])?.matches(path));
  return rule === undefined ? {} : { rule };
}

function matcherOf(rules: readonly string[]): PatternMatcher | undefined {
  const result = createPatternMatcher(rules);
  return result.ok ? result.matcher : undefined;
}

/** A name of one character per byte as text. */
function textOf(name: string): string {
  return Buffer.from(name, "latin1").toString("utf8");
}
