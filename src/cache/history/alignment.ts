/** A step of a stage as far as it tells it from others. */
export interface Aligned {
  /** A mark of its text. */
  readonly mark: string;
  /** RUN, COPY … */
  readonly keyword: string;
}

/** Which steps of one list are which of another, by index. */
export interface Alignment {
  readonly pairs: ReadonlyMap<number, number>;
  /** Those, by their places in the newer list, that stand in another order than they did. */
  readonly moved: ReadonlySet<number>;
}

/** Larger products of lengths are not aligned in full. */
const CELLS_MAX = 1_000_000;

/**
 * Which of OLDER each of NEWER was: equal texts in equal order, as many as possible; then those of equal text that moved; between the first
 * ones, steps of one keyword in order. So a line that was added, removed, moved or changed puts no other out of place.
 */
export function align(newer: readonly Aligned[], older: readonly Aligned[]): Alignment {
  const pairs = new Map<number, number>();
  let start = 0;
  while (start < newer.length && isSame(newer[start], older[start])) pairs.set(start, start++);
  let end = 0;
  while (end < Math.min(newer.length, older.length) - start && isSame(newer.at(-1 - end), older.at(-1 - end))) {
    pairs.set(newer.length - 1 - end, older.length - 1 - end);
    end++;
  }
  const rows = { from: start, to: newer.length - end };
  const columns = { from: start, to: older.length - end };
  for (const [i, j] of commonSteps(newer.slice(rows.from, rows.to), older.slice(columns.from, columns.to)))
    pairs.set(rows.from + i, columns.from + j);
  const anchors = [...pairs].sort(([a], [b]) => a - b);
  const moved = pairMoved(newer, older, pairs);
  pairGaps(newer, older, { pairs, anchors });
  return { pairs, moved };
}

function isSame(a: Aligned | undefined, b: Aligned | undefined): boolean {
  return a !== undefined && a.mark === b?.mark;
}

/** The longest common subsequence. */
function commonSteps(newer: readonly Aligned[], older: readonly Aligned[]): readonly (readonly [number, number])[] {
  const width = older.length + 1;
  if ((newer.length + 1) * width > CELLS_MAX) return [];
  const lengths = new Uint32Array((newer.length + 1) * width);
  const lengthAt = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = newer.length - 1; i >= 0; i--) {
    for (let j = older.length - 1; j >= 0; j--) {
      const same = isSame(newer[i], older[j]);
      lengths[i * width + j] = same ? lengthAt(i + 1, j + 1) + 1 : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < newer.length && j < older.length; ) {
    if (isSame(newer[i], older[j])) pairs.push([i++, j++]);
    else if (lengthAt(i + 1, j) >= lengthAt(i, j + 1)) i++;
    else j++;
  }
  return pairs;
}

/** Pairs what has the same text in another place. */
function pairMoved(
  newer: readonly Aligned[],
  older: readonly Aligned[],
  pairs: Map<number, number>,
): ReadonlySet<number> {
  const taken = new Set(pairs.values());
  const free = new Map<string, number[]>();
  for (const [j, { mark }] of older.entries()) if (!taken.has(j)) free.set(mark, [...(free.get(mark) ?? []), j]);
  const moved = new Set<number>();
  for (const [i, { mark }] of newer.entries()) {
    const j = pairs.has(i) ? undefined : free.get(mark)?.shift();
    if (j === undefined) continue;
    pairs.set(i, j);
    moved.add(i);
  }
  return moved;
}

interface Gaps {
  readonly pairs: Map<number, number>;
  /** The pairs whose order is the same in both. */
  readonly anchors: readonly (readonly [number, number])[];
}

/** Pairs what lies between paired steps. */
function pairGaps(newer: readonly Aligned[], older: readonly Aligned[], { pairs, anchors }: Gaps): void {
  const taken = new Set(pairs.values());
  let previous: readonly [number, number] = [-1, -1];
  for (const anchor of [...anchors, [newer.length, older.length] as const]) {
    let j = previous[1] + 1;
    for (let i = previous[0] + 1; i < anchor[0]; i++) {
      if (pairs.has(i)) continue;
      const keyword = newer[i]?.keyword;
      let at = j;
      while (at < anchor[1] && (taken.has(at) || older[at]?.keyword !== keyword)) at++;
      if (at >= anchor[1]) continue;
      pairs.set(i, at);
      j = at + 1;
    }
    previous = anchor;
  }
}
