import { EngineError } from "../../base/index.js";

/** What a mode given to COPY or ADD makes of an entry's permission bits. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

const USER = 0o4700;
const GROUP = 0o2070;
const OTHER = 0o0007;
const STICKY = 0o1000;
const SET_IDS = 0o6000;
const ALL = USER | GROUP | OTHER;
const READ = 0o444;
const WRITE = 0o222;
const EXECUTE = 0o111;
const MODE_MAX = 0o7777;

/** Reads a symbolic mode as chmod(1) takes it (`u=rwX,go=rX`, `+x`, `o=g`), or an octal one; the umask is 0. `invalid` on anything else. */
export function parseMode(text: string): ModeChange {
  if (/^[0-7]+$/.test(text)) {
    const octal = Number.parseInt(text, 8);
    if (octal > MODE_MAX) throw invalid(text);
    return () => octal;
  }
  const steps = text.split(",").flatMap((clause) => parseClause(clause, text));
  return (mode, isDirectory) => steps.reduce((current, step) => step(current, mode, isDirectory), mode);
}

/** Changes CURRENT; ORIGINAL is what the entry had before the first step. */
type Step = (current: number, original: number, isDirectory: boolean) => number;

function parseClause(clause: string, text: string): Step[] {
  const match = /^([augo]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
  if (!match) throw invalid(text);
  const [, who = "", operations = ""] = match;
  const bits = [...who].reduce((sum, letter) => sum | classBits(letter), 0);
  return [...operations.matchAll(/([-+=])([rwxXstugo]*)/g)].flatMap(([, operator = "", letters = ""]) =>
    steps(bits, operator, letters),
  );
}

function classBits(letter: string): number {
  switch (letter) {
    case "u":
      return USER;
    case "g":
      return GROUP;
    case "o":
      return OTHER;
    default:
      return ALL;
  }
}

function steps(who: number, operator: string, letters: string): Step[] {
  const plain = plainBits(who, letters);
  const reach = reachOf(who, letters);
  const copied = [...letters].filter((letter) => "ugo".includes(letter));
  const made: Step[] = [];
  // With letters of other classes alone, `=` clears no more than what it copies over.
  if (operator === "=" && (plain !== 0 || copied.length === 0))
    made.push((current) => current & ~(who === 0 ? ALL : reach));
  if (plain !== 0)
    made.push(operator === "-" ? (current) => current & ~(plain & reach) : (current) => current | (plain & reach));
  if (letters.includes("X") && operator !== "-") {
    made.push((current, original, isDirectory) =>
      (original & EXECUTE) !== 0 || isDirectory ? current | (EXECUTE & reach) : current,
    );
  }
  for (const letter of copied) made.push((current) => copyClass(current, letter, who, operator));
  return made;

  function plainBits(of: number, from: string): number {
    let bits = 0;
    for (const letter of from) {
      if (letter === "r") bits |= READ;
      else if (letter === "w") bits |= WRITE;
      else if (letter === "x" || (letter === "X" && operator === "-")) bits |= EXECUTE;
      else if (letter === "s" && of !== OTHER) bits |= SET_IDS;
      else if (letter === "t" && of !== OTHER) bits |= STICKY;
    }
    return bits;
  }
}

/** The bits a clause may touch. As in the reference, a sticky bit for no class in particular leaves the other letters of its clause without effect. */
function reachOf(who: number, letters: string): number {
  const sticky = letters.includes("t") && who !== OTHER ? STICKY : 0;
  if (who !== 0) return who | sticky;
  return sticky === 0 ? ALL : STICKY;
}

/** Gives the classes WHO the permissions that the class LETTER has. */
function copyClass(current: number, letter: string, who: number, operator: string): number {
  const source = letter === "u" ? current >> 6 : letter === "g" ? current >> 3 : current;
  const value = source & 0o7;
  const targets = who === 0 ? [6, 3, 0] : [who & 0o400 ? 6 : -1, who & 0o040 ? 3 : -1, who & 0o004 ? 0 : -1];
  return targets.reduce((mode, shift) => {
    if (shift < 0) return mode;
    if (operator === "+") return mode | (value << shift);
    if (operator === "-") return mode & ~(value << shift);
    return (mode & ~(0o7 << shift)) | (value << shift);
  }, current);
}

function invalid(text: string): EngineError {
  return new EngineError("invalid", "invalid syntax", {
    hint: `the mode ${JSON.stringify(text)} is neither octal nor symbolic`,
  });
}
