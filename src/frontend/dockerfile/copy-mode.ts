import { EngineError } from "../../base/index.js";

/** The permissions --chmod gives, as the op has them: octal bits or a symbolic mode. */
export interface Permissions {
  readonly mode?: number | undefined;
  readonly modeStr?: string | undefined;
}

/** Reads the value of --chmod; empty gives nothing. Throws `invalid` for what is neither octal nor symbolic. */
export function copyMode(text: string): Permissions {
  if (text === "") return {};
  if (/^\d/.test(text)) {
    const mode = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
    if (mode <= MODE_MAX) return { mode };
    throw new EngineError(
      "invalid",
      `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    );
  }
  if (!SYMBOLIC.test(text)) throw new EngineError("invalid", `invalid chmod parameter: '${text}': invalid syntax`);
  return { modeStr: text };
}

const MODE_MAX = 0o7777;
/** chmod(1): who, then operators with permissions, several parted by commas. */
const CLAUSE = "[augo]*(?:[-+=][rwxXstugo]*)+";
const SYMBOLIC = new RegExp(`^${CLAUSE}(?:,${CLAUSE})*$`);
