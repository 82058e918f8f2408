/** TEXT in double quotes as Go's %q writes it: what BuildKit's messages and the history of CMD and ENTRYPOINT show. */
export function quote(text: string): string {
  let quoted = "";
  for (const character of text)
    quoted += NAMED_ESCAPES[character] ?? (isPrintable(character) ? character : numeric(character));
  return `"${quoted}"`;
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

function isPrintable(character: string): boolean {
  return character === " " || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character);
}

function numeric(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = (width: number) => code.toString(16).padStart(width, "0");
  if (code < 0x20 || code === 0x7f) return `\\x${hex(2)}`;
  return code > 0xffff ? `\\U${hex(8)}` : `\\u${hex(4)}`;
}
