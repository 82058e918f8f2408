/** The parts of `3<<-"EOF"`. */
export interface HeredocWord {
  readonly name: string;
  readonly expand: boolean;
  readonly chomp: boolean;
  readonly fileDescriptor: number | undefined;
}

/** Reads TEXT as the one word that begins a heredoc, undefined where it is more or something else. Never throws. */
export declare function parseHeredocWord(text: string): HeredocWord | undefined;
