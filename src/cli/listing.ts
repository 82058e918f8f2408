import { compileTemplate, goValueJson, TemplateError } from "./go-template/index.js";
import { formatTable } from "./table.js";
import { UsageError } from "./usage-error.js";

/** A row of a listing by the names that templates use; the names of all rows are the same. */
export type ListedRow = Readonly<Record<string, unknown>>;

/** How rows are listed. */
export interface Listing {
  /** What a column is headed by. */
  readonly headings: Readonly<Record<string, string>>;
  /** The columns of the usual table. */
  readonly columns: readonly string[];
}

/**
 * ROWS as docker's --format lists them: `table`, `table TEMPLATE` with headings, `json` (an object each line), `raw` of nothing, or a
 * template for each row. Throws `UsageError` for a malformed template.
 */
export function listed(rows: readonly ListedRow[], format: string | undefined, { headings, columns }: Listing): string {
  if (format === undefined || format === "" || format === "table") {
    return formatTable(
      columns.map((column) => headings[column] ?? column),
      rows.map((row) => columns.map((column) => String(row[column] ?? ""))),
    );
  }
  if (format === "json") return rows.map((row) => `${goValueJson(sortedRow(row))}\n`).join("");
  const isTable = format.startsWith("table ");
  const template = spelledOut(isTable ? format.slice("table ".length).trimStart() : format);
  const lines = rendered(template, isTable ? [headings, ...rows] : rows);
  if (!isTable) return lines.map((line) => `${line}\n`).join("");
  const [heading = [], ...cells] = lines.map((line) => line.split("\t"));
  return formatTable(heading, cells);
}

/** Each of ROWS by TEMPLATE. Throws `UsageError`. */
export function rendered(template: string, rows: readonly unknown[]): readonly string[] {
  try {
    const compiled = compileTemplate(template);
    return rows.map((row) => compiled.render(row));
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new UsageError(`template parsing error: template: :1:${error.at}: ${error.message}`);
  }
}

/** Shells keep `\t` and `\n` as they are typed. */
function spelledOut(template: string): string {
  return template.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}

function sortedRow(row: ListedRow): ListedRow {
  return Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}
