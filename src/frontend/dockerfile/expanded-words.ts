/** A word of the expanded text, and the offsets in the source of the parts that gave it. */
export interface ExpandedWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Splits what an expansion gives at the blanks that are not protected. */
export class WordCollector {
  readonly #words: ExpandedWord[] = [];
  #text = "";
  #start = 0;
  #end = 0;

  add(part: string, from: { readonly splits: boolean; readonly start: number; readonly end: number }): void {
    if (!from.splits) {
      this.#append(part, from.start, from.end);
      return;
    }
    // Offsets within a part are those of the source where the part is plain text; a variable's value counts as all of it.
    const isVerbatim = part.length === from.end - from.start;
    for (const { 0: piece, index } of part.matchAll(/\p{White_Space}+|\P{White_Space}+/gu)) {
      const start = isVerbatim ? from.start + index : from.start;
      if (/^\p{White_Space}/u.test(piece)) this.#flush();
      else this.#append(piece, start, isVerbatim ? start + piece.length : from.end);
    }
  }

  /** Forgets the word that has begun. */
  dropUnfinished(): void {
    this.#text = "";
  }

  finish(): readonly ExpandedWord[] {
    this.#flush();
    return this.#words;
  }

  #append(piece: string, start: number, end: number): void {
    if (this.#text === "") this.#start = start;
    this.#text += piece;
    this.#end = end;
  }

  #flush(): void {
    if (this.#text !== "") this.#words.push({ text: this.#text, start: this.#start, end: this.#end });
    this.#text = "";
  }
}
