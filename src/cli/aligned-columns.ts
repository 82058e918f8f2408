/** ROWS with their columns GAP blanks apart, the last one not filled up: what Go's tabwriter makes of them. */
export function tabulated(rows: readonly (readonly string[])[], gap: number): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => characters(row[column] ?? ""))),
  );
  const padded = (cell: string, column: number, row: readonly string[]) =>
    column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - characters(cell) + gap);
  return rows.map((row) => `${row.map((cell, column) => padded(cell, column, row)).join("")}\n`).join("");
}

function characters(text: string): number {
  return Array.from(text).length;
}
