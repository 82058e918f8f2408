/** Rows under a heading, in columns three blanks apart, as docker's tables look. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("   ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** How long ago AT is, in docker's words: `5 minutes ago`, `About an hour ago`. */
export function formatAge(at: number, now: number): string {
  return `${ageText(Math.max(now - at, 0) / 1000)} ago`;
}

function ageText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (seconds < 1) return "Less than a second";
  if (seconds < 2) return "1 second";
  if (minutes < 1) return `${Math.floor(seconds)} seconds`;
  if (minutes < 2) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours < 2) return "About an hour";
  if (hours < 2 * DAY) return `${hours} hours`;
  if (hours < 2 * WEEK) return `${Math.floor(hours / DAY)} days`;
  if (hours < 2 * MONTH) return `${Math.floor(hours / WEEK)} weeks`;
  if (hours < 2 * YEAR) return `${Math.floor(hours / MONTH)} months`;
  return `${Math.floor(hours / YEAR)} years`;
}

/** In hours. */
const [DAY, WEEK, MONTH, YEAR] = [24, 24 * 7, 24 * 30, 24 * 365];
