/** A pattern in the syntax of Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a-z]` and `\` before what is meant literally. */
export interface PathWildcard {
  /**
   * Whether it matches all of PATH, a string of one character per byte: what Go's matcher says, which tries the first place
   * for what stands behind a `*` and no other. Time: length of the pattern times length of the path.
   */
  matches(path: string): boolean;
  /** How many slashes a path that it matches may have at most. */
  readonly mostSlashes: number;
  /** Whether a class of it matches a slash, so that names can't be matched one by one. */
  readonly crossesSlashes: boolean;
}

/** Compiles PATTERN, which is text; undefined where it is malformed. */
export function compileWildcard(pattern: string): PathWildcard | undefined {
  const bytes = Buffer.from(pattern, "utf8").toString("latin1");
  const pieces: Piece[] = [{ afterStar: false, atoms: [] }];
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] === "*") {
      pieces.push({ afterStar: true, atoms: [] });
      at++;
      continue;
    }
    const read = readAtom(bytes, at);
    if (read === undefined) return undefined;
    pieces.at(-1)?.atoms.push(read.atom);
    at = read.end;
  }
  return new CompiledWildcard(pieces.filter(({ atoms }, n) => atoms.length > 0 || n === 0 || n === pieces.length - 1));
}

type Atom =
  | { readonly kind: "byte"; readonly byte: string }
  /** Any character but a slash. */
  | { readonly kind: "any" }
  | {
      readonly kind: "class";
      readonly negated: boolean;
      readonly ranges: readonly (readonly [low: number, high: number])[];
    };

/** What stands between two stars. */
interface Piece {
  readonly afterStar: boolean;
  readonly atoms: Atom[];
}

const SLASH = 0x2f;

class CompiledWildcard implements PathWildcard {
  readonly #pieces: readonly Piece[];

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  get mostSlashes(): number {
    return this.#atoms().filter(matchesSlash).length;
  }

  get crossesSlashes(): boolean {
    return this.#atoms().some((atom) => atom.kind === "class" && matchesSlash(atom));
  }

  matches(path: string): boolean {
    let at = 0;
    for (const [n, piece] of this.#pieces.entries()) {
      const isLast = n === this.#pieces.length - 1;
      if (piece.afterStar && piece.atoms.length === 0) return !path.includes("/", at);
      const end = place(piece, path, at, isLast);
      if (end === undefined) return false;
      at = end;
    }
    return at === path.length;
  }

  #atoms(): readonly Atom[] {
    return this.#pieces.flatMap((piece) => piece.atoms);
  }
}

function matchesSlash(atom: Atom): boolean {
  switch (atom.kind) {
    case "byte":
      return atom.byte === "/";
    case "any":
      return false;
    case "class":
      return isInClass(atom, SLASH);
  }
}

/** The end of the first place from START on where PIECE fits; the last piece must end with the path. */
function place(piece: Piece, path: string, start: number, isLast: boolean): number | undefined {
  for (let at = start; ; at++) {
    const end = endOf(piece.atoms, path, at);
    if (end !== undefined && (!isLast || end === path.length)) return end;
    // A star stands for no slash.
    if (!piece.afterStar || at >= path.length || path[at] === "/") return undefined;
  }
}

function endOf(atoms: readonly Atom[], path: string, start: number): number | undefined {
  let at = start;
  for (const atom of atoms) {
    if (at >= path.length) return undefined;
    if (atom.kind === "byte") {
      if (path[at] !== atom.byte) return undefined;
      at++;
      continue;
    }
    const { code, length } = characterAt(path, at);
    if (atom.kind === "any" ? code === SLASH : !isInClass(atom, code)) return undefined;
    at += length;
  }
  return at;
}

function isInClass({ ranges, negated }: Extract<Atom, { kind: "class" }>, code: number): boolean {
  return ranges.some(([low, high]) => low <= code && code <= high) !== negated;
}

/** The atom at START, which is no star, and where it ends. */
function readAtom(bytes: string, start: number): { readonly atom: Atom; readonly end: number } | undefined {
  const byte = bytes[start] ?? "";
  if (byte === "[") return readClass(bytes, start + 1);
  if (byte === "?") return { atom: { kind: "any" }, end: start + 1 };
  if (byte !== "\\") return { atom: { kind: "byte", byte }, end: start + 1 };
  const escaped = bytes[start + 1];
  return escaped === undefined ? undefined : { atom: { kind: "byte", byte: escaped }, end: start + 2 };
}

function readClass(bytes: string, start: number): ReturnType<typeof readAtom> {
  const negated = bytes[start] === "^";
  const ranges: [number, number][] = [];
  let at = negated ? start + 1 : start;
  const next = (): number | undefined => {
    if (bytes[at] === "-" || bytes[at] === "]") return undefined;
    if (bytes[at] === "\\") at++;
    if (at >= bytes.length) return undefined;
    const { code, length } = characterAt(bytes, at);
    at += length;
    return code;
  };
  while (ranges.length === 0 || bytes[at] !== "]") {
    const low = next();
    let high = low;
    if (bytes[at] === "-") {
      at++;
      high = next();
    }
    if (low === undefined || high === undefined) return undefined;
    ranges.push([low, high]);
  }
  return { atom: { kind: "class", negated, ranges }, end: at + 1 };
}

/** What Go takes bytes for that are no UTF-8, each of them for one character. */
const REPLACEMENT = 0xfffd;
/** By the length of a character in bytes: what the first byte begins with, and the least code of that length (RFC 3629). */
const FORMS = [
  { length: 2, mask: 0xe0, lead: 0xc0, least: 0x80 },
  { length: 3, mask: 0xf0, lead: 0xe0, least: 0x800 },
  { length: 4, mask: 0xf8, lead: 0xf0, least: 0x10000 },
];

/** The character whose first byte is at AT. */
function characterAt(bytes: string, at: number): { readonly code: number; readonly length: number } {
  const first = bytes.charCodeAt(at);
  if (first < 0x80) return { code: first, length: 1 };
  const form = FORMS.find(({ mask, lead }) => (first & mask) === lead);
  let code = form ? first & ~form.mask : REPLACEMENT;
  for (let n = 1; form && n < form.length; n++) {
    const next = bytes.charCodeAt(at + n);
    if ((next & 0xc0) !== 0x80) return { code: REPLACEMENT, length: 1 };
    code = code * 0x40 + (next & 0x3f);
  }
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  if (!form || code < form.least || code > 0x10ffff || isSurrogate) return { code: REPLACEMENT, length: 1 };
  return { code, length: form.length };
}
