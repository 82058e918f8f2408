/** How many characters of white space TEXT begins with. */
export function leadingSpace(text: string): number {
  let end = 0;
  while (end < text.length && isSpace(text.charCodeAt(end))) end++;
  return end;
}

/** TEXT without white space at either end, and how much of it went in front. */
export function trimmed(text: string): { readonly text: string; readonly offset: number } {
  const offset = leadingSpace(text);
  let end = text.length;
  while (end > offset && isSpace(text.charCodeAt(end - 1))) end--;
  return { text: text.slice(offset, end), offset };
}

/** Whether the UTF-16 unit CODE is white space to Unicode. */
function isSpace(code: number): boolean {
  if (code < FIRST_WIDE_SPACE) return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0x85 || code === 0xa0;
  return /\p{White_Space}/u.test(String.fromCharCode(code));
}

/** Below it white space is known by number: instructions by the hundred thousand ask for it. */
const FIRST_WIDE_SPACE = 0x1680;
