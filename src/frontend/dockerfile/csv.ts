/** A field, and where it stands in the record with its quotes: from `start` up to `end`. */
export interface CsvField {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The fields of one CSV record, as --mount and --device have them; a quoted field may hold commas and doubled quotes.
 */
export function parseCsvFields(
  text: string,
): { readonly ok: true; readonly fields: readonly CsvField[] } | { readonly ok: false; readonly error: string } {
  if (text === "") return { ok: false, error: "EOF" };
  const fields: CsvField[] = [];
  let at = 0;
  for (;;) {
    const field = text[at] === '"' ? quotedField(text, at) : bareField(text, at);
    if ("error" in field) return { ok: false, error: field.error };
    fields.push({ text: field.value, start: at, end: field.end });
    if (field.end >= text.length) return { ok: true, fields };
    at = field.end + 1;
  }
}

/** A field, and where the comma behind it stands. */
type Field = { readonly value: string; readonly end: number } | { readonly error: string };

function bareField(text: string, start: number): Field {
  const comma = text.indexOf(",", start);
  const end = comma < 0 ? text.length : comma;
  const value = text.slice(start, end);
  const quote = value.indexOf('"');
  if (quote >= 0) return { error: `parse error on line 1, column ${start + quote + 1}: bare " in non-quoted field` };
  return { value, end };
}

function quotedField(text: string, start: number): Field {
  const parts: string[] = [];
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    const end = quote + 1;
    if (quote >= 0 && text[end] === '"') {
      parts.push(text.slice(at, end));
      at = end + 1;
      continue;
    }
    if (quote < 0 || (end < text.length && text[end] !== ",")) {
      const column = (quote < 0 ? text.length : end) + 1;
      return { error: `parse error on line 1, column ${column}: extraneous or missing " in quoted-field` };
    }
    parts.push(text.slice(at, quote));
    return { value: parts.join(""), end };
  }
}
