/** How many edits a name may be away from what it is taken for. */
const MAX_DISTANCE = 2;

/** Names longer than this are not compared, in UTF-16 units. */
const MAX_LENGTH = 128;

/** What NAME was probably meant to be, the nearest of OPTIONS; undefined where none is near or NAME is one of them. */
export function suggest(name: string, options: Iterable<string>): string | undefined {
  return nearestBy(editDistance, name, options);
}

/** As `suggest`, but two letters that changed places count as two edits: what the build checks say is compared by its words. */
export function nearest(name: string, options: Iterable<string>): string | undefined {
  return nearestBy(plainDistance, name, options);
}

function nearestBy(
  distanceOf: (a: string, b: string) => number,
  name: string,
  options: Iterable<string>,
): string | undefined {
  if (name === "" || name.length > MAX_LENGTH) return undefined;
  let nearest: string | undefined;
  let distance = MAX_DISTANCE + 1;
  for (const option of options) {
    if (option === name) return undefined;
    if (Math.abs(option.length - name.length) >= distance) continue;
    const edits = distanceOf(name, option);
    if (edits < distance) [nearest, distance] = [option, edits];
  }
  return nearest;
}

/** ` (did you mean X?)` where NAME is near one of OPTIONS, else nothing: to stand behind a message. */
export function didYouMean(name: string, options: Iterable<string>): string {
  const meant = suggest(name, options);
  return meant === undefined ? "" : inWords(meant);
}

/** As `suggest` for names in any case: the suggestion is in the case of NAME. */
export function suggestInAnyCase(name: string, options: Iterable<string>): string | undefined {
  const lower = Array.from(options, (option) => option.toLowerCase());
  const meant = suggest(name.toLowerCase(), lower);
  return name !== name.toLowerCase() && name === name.toUpperCase() ? meant?.toUpperCase() : meant;
}

/** MESSAGE with what was probably meant, in words and as data. */
export function withSuggestion(
  message: string,
  meant: string | undefined,
): { readonly message: string; readonly suggestion?: string } {
  return meant === undefined ? { message } : { message: message + inWords(meant), suggestion: meant };
}

function inWords(meant: string): string {
  return ` (did you mean ${meant}?)`;
}

/** Insertions, deletions, replacements and swaps of neighbours that make one of the other (Damerau-Levenshtein). */
function editDistance(a: string, b: string): number {
  return editsBetween(a, b, 1);
}

/** The same without swaps (Levenshtein). */
function plainDistance(a: string, b: string): number {
  return editsBetween(a, b, 2);
}

function editsBetween(a: string, b: string, swapCost: number): number {
  let above: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (above[j - 2] ?? 0) + swapCost : replaced;
      current.push(Math.min(replaced, swapped, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    [above, previous] = [previous, current];
  }
  return previous[b.length] ?? 0;
}
