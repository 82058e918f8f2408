/** The bytes of a tar block: headers and bodies are padded to it. */
export const BLOCK_BYTES = 512;

/** The longest meta entry (PAX records, a GNU long name) that is read or written. */
export const META_MAX_BYTES = 1 << 20;

/** The most entries one archive may hold. */
export const ENTRIES_MAX = 8_000_000;

/** The most pieces of data a sparse file may have. */
export const SPARSE_PIECES_MAX = 1_000_000;
