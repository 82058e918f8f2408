import type { Flag } from "./ast.js";
import type { EscapeCharacter } from "./expand.js";
import { lexWords } from "./lexer.js";
import type { RawText } from "./raw.js";

/**
 * Takes the flags off the front of an instruction: words that begin with `--`, quotes and escapes in them processed, up
 * to the first that does not, or up to a lone `--`. END is where the rest begins.
 *
 * BuildKit reads flags byte by byte, so that a letter beyond ASCII becomes those that its UTF-8 bytes are in Latin-1, and
 * the bytes 85 and A0 part words. Images depend on it, so it is done here as well.
 */
export function splitFlags(
  text: RawText,
  escapeCharacter: EscapeCharacter,
): { readonly flags: readonly Flag[]; readonly end: number } {
  const flags: Flag[] = [];
  if (!text.text.startsWith(FLAG_MARK)) return { flags, end: 0 };
  const bytes = latin1Of(text.text);
  const offsets = new ByteOffsets(text.text, bytes);
  let parts: string[] | undefined;
  let start = 0;
  for (const token of lexWords(bytes, escapeCharacter, "escapable")) {
    const at = offsets.unitsAt(token.offset);
    if (token.type === "space") {
      const word = parts?.join("");
      if (word === FLAG_MARK) return { flags, end: at };
      if (word !== undefined) flags.push(readFlag(word, text.range(start, at)));
      parts = undefined;
      continue;
    }
    if (!parts) {
      if (!bytes.startsWith(FLAG_MARK, token.offset)) return { flags, end: at };
      parts = [];
      start = at;
    }
    if (token.type === "text") parts.push(token.text);
    if (token.type === "escaped") parts.push(token.text.slice(1));
  }
  const last = parts?.join("");
  if (last !== undefined && last !== FLAG_MARK) flags.push(readFlag(last, text.range(start)));
  return { flags, end: text.text.length };
}

/** What flags begin with. */
export const FLAG_MARK = "--";

/** TEXT with a character for each of its bytes in UTF-8. */
function latin1Of(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

/** Turns offsets in the bytes of a text, asked for in rising order, into offsets in the text. */
class ByteOffsets {
  readonly #text: string;
  readonly #isAscii: boolean;
  #bytes = 0;
  #units = 0;

  constructor(text: string, bytes: string) {
    this.#text = text;
    this.#isAscii = text.length === bytes.length;
  }

  /** The place of byte OFFSET, or where the character ends that it is in the middle of. */
  unitsAt(offset: number): number {
    if (this.#isAscii) return offset;
    while (this.#bytes < offset) {
      const code = this.#text.codePointAt(this.#units) ?? 0;
      this.#bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      this.#units += code < 0x10000 ? 1 : 2;
    }
    return this.#units;
  }
}

function readFlag(word: string, range: Flag["range"]): Flag {
  const equals = word.indexOf("=");
  const name = word.slice(FLAG_MARK.length, equals < 0 ? undefined : equals);
  return { name, value: equals < 0 ? undefined : word.slice(equals + 1), range };
}

/** FLAG as it is written in a Dockerfile, quoted where it has to be. */
export function printFlag({ name, value }: Flag, escapeCharacter: EscapeCharacter): string {
  const word = value === undefined ? name : `${name}=${value}`;
  if (isAscii(word)) {
    return FLAG_MARK + word.replace(/[\s"'\\`]/g, (character) => escaped(character, escapeCharacter));
  }
  const bytes = word.replace(/["\\`]/g, (character) => escaped(character, escapeCharacter));
  // A blank byte may have cut the last character: what it was cut from is to be written again.
  const [cut = ""] = /[\xc2-\xf4][\x80-\xbf]{0,2}$/.exec(bytes) ?? [];
  const isWhole = cut === "" || isUtf8(cut);
  const whole = Buffer.from(isWhole ? bytes : bytes.slice(0, -cut.length), "latin1").toString("utf8");
  return `${FLAG_MARK}"${whole}"${isWhole ? "" : completed(cut)}`;
}

function escaped(character: string, escapeCharacter: EscapeCharacter): string {
  const isMeant = (character === "\\" || character === "`") && character !== escapeCharacter;
  return isMeant ? character : escapeCharacter + character;
}

function isUtf8(bytes: string): boolean {
  return !Buffer.from(bytes, "latin1").toString("utf8").includes("\ufffd");
}

/** The character that begins with the bytes CUT and goes on with one that is a blank. */
function completed(cut: string): string {
  const lead = cut.charCodeAt(0);
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The bytes ED and F4 are not followed by A0 (RFC 3629 section 4).
  const next = cut.length === 1 && (lead === 0xed || lead === 0xf4) ? "\x85" : "\xa0";
  return Buffer.from((cut + next).padEnd(length, "\xa0"), "latin1").toString("utf8");
}
